"""The whole command `steer`: the library's commands, and `steer ui`, which starts the page."""

from pathlib import Path
from typing import Annotated

import typer

from steering.cli import app
from steering.cli import options as flag
from steering.cli.report import reporting, say_note
from steering.errors import SteeringError

__all__ = ["app"]

Port = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="The first free one from 7860 if left out."),
]
HostName = Annotated[
    str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines in.")
]
Auth = Annotated[str | None, typer.Option("--auth", help="NAME:PASSWORD that visitors must give.")]
Share = Annotated[
    bool, typer.Option("--share", help="Ask Gradio for a public address. Anyone can use it.")
]
Presets = Annotated[Path | None, typer.Option("--presets", help="Folder of your own presets.")]


@app.command()
def ui(
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
    presets: Presets = None,
    port: Port = None,
    host: HostName = "127.0.0.1",
    auth: Auth = None,
    share: Share = False,
) -> None:
    """Open the page: sliders, and both texts side by side."""
    with reporting():
        from steering.cli.load import Place, choose_source, load_session

        place = Place(model, tuple(sae or ()), device, dtype)
        if place.model or not place.saes:
            choose_source(place)  # Says at once what is wrong; a release's model takes a registry.
        name = _name_and_password(auth)
        say_note("Starting the page …")
        from ui.server import start

        page, _, address = start(
            lambda: load_session(choose_source(place), place),
            presets=presets,
            host_name=host,
            port=port,
            auth=name,
            share=share,
        )
        typer.echo(f"The page is at {address} (Ctrl+C ends it).")
        page.block_thread()


def _name_and_password(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    name, colon, password = auth.partition(":")
    if not (name and colon and password):
        raise SteeringError("--auth wants NAME:PASSWORD. Write both, with a colon between.")
    return name, password
