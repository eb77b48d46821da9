"""The commands `steer atlas …`: build an atlas, score its features, label them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steering.cli import options as flag
from steering.cli.atlas_label import label
from steering.cli.report import bars, reporting, say_note
from steering.errors import AtlasError

if TYPE_CHECKING:
    from steering.session import Session

atlas_app = typer.Typer(
    no_args_is_help=True, help="What is known of every feature of an SAE, in one file."
)

atlas_app.command()(label)

Text = Annotated[
    str,
    typer.Option(
        "--text",
        help="A text file (`---` on a line ends a document), a .jsonl file, a folder of them, the "
        "name of a dataset on the hub (NAME:CONFIGURATION where it has several), or `-` for "
        "standard input.",
    ),
]
Tokens = Annotated[
    str | None,
    typer.Option("--tokens", help="Stop after so many counted tokens: `300k`, `5M`."),
]
Split = Annotated[str, typer.Option("--split", help="Of a dataset.")]
Column = Annotated[str, typer.Option("--column", help="Of a dataset or a .jsonl file.")]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on.")]
EmbeddingModel = Annotated[
    str | None, typer.Option("--embedding", help="A sentence-transformers model.")
]


@atlas_app.command()
def build(
    text: Text,
    tokens: Tokens = None,
    atlas: flag.AtlasFile = None,
    split: Split = "train",
    column: Column = "text",
    restart: Restart = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
) -> None:
    """Measure every feature on a text; run it again to go on after an interruption."""
    with reporting():
        from steering.cli.atlas_files import open_session
        from steering.cli.load import Place

        wanted = count_of(tokens)
        place = Place(model, tuple(sae or ()), device, dtype)
        from steering.atlas.texts import text_source

        source = text_source(text, split=split, column=column)
        session = open_session(place)
        from steering.atlas.build import BuildOptions
        from steering.atlas.build import build as build_atlases

        paths = _paths(session, atlas)
        with bars() as report:
            build_atlases(session.model, paths, source, BuildOptions(wanted, restart), report)
        for path in paths:
            typer.echo(str(path))
            _say_where_the_map_is_old(path)


def _say_where_the_map_is_old(path: Path) -> None:
    from steering.atlas.map import silent_on_map
    from steering.atlas.store import Atlas

    with Atlas.open(path) as atlas:
        silent = silent_on_map(atlas)
    if silent:
        say_note(
            f"The map of {path.name} is older: {silent:,} of its features did not fire on this "
            "text. `steer atlas map` makes it anew."
        )


def _paths(session: "Session", asked: Path | None) -> dict[Path, Any]:
    from steering.atlas.places import path_to_write

    if asked is not None and len(session.saes) > 1:
        raise AtlasError(
            "--atlas names one file, and several SAEs are given. Leave it out: each atlas goes to "
            "its place."
        )
    return {asked or path_to_write(sae): sae for sae in session.saes.values()}


def count_of(text: str | None) -> int | None:
    """Read a count such as `300k` or `5M`.

    Raises:
        AtlasError: It is none, or not above 0.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmMbB]?)", text.strip())
    count = (
        int(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "b": 1e9}[found[2].lower()])
        if (found)
        else 0
    )
    if count < 1:
        raise AtlasError(f"Cannot read the count {text!r}. Write one like 300000, 300k or 5M.")
    return count


@atlas_app.command()
def score(
    atlas: flag.AtlasFile = None,
    restart: Restart = False,
    model: flag.Model = None,
    sae: flag.Saes = None,
    device: flag.Device = None,
    dtype: flag.Dtype = None,
) -> None:
    """Measure which features really move what the model writes; run it again to go on."""
    with reporting():
        from steering.cli.atlas_files import atlas_to_write, open_pair

        session, own = open_pair(model, sae, device, dtype)
        from steering.atlas import score as scoring

        total = 0
        with atlas_to_write(atlas, own) as opened, bars() as report:
            for step in scoring.score(opened, session.model, own, restart=restart):
                if not total:
                    say_note(f"{step.total:,} features, about {_spoken(step.seconds_left)}.")
                total = step.total
                report("output scores", step.done, step.total)
        typer.echo(f"{total:,} features scored.")


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@atlas_app.command("map")
def map_(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another picture.")] = 0,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
) -> None:
    """Lay the live features out on a plane, in clusters named after their labels."""
    with reporting():
        from steering.cli.atlas_files import atlas_to_write, load_sae

        own = load_sae(sae)
        from steering.atlas.map import make_map, map_points

        with atlas_to_write(atlas, own) as opened:
            with bars() as report:
                count = make_map(opened, own, seed=seed, report=report)
            names = map_points(opened).names
        typer.echo(f"{count:,} features on the map.")
        for name in names.values():
            typer.echo(name)


@atlas_app.command()
def embed(
    embedding: EmbeddingModel = None,
    atlas: flag.AtlasFile = None,
    sae: flag.Saes = None,
) -> None:
    """Store what the labels mean, for `steer features search --by meaning`."""
    with reporting():
        from steering.atlas import meaning
        from steering.cli.atlas_files import open_to_write

        with open_to_write(atlas, sae) as opened:
            name = embedding or meaning.model_of(opened) or meaning.DEFAULT_MODEL
            encode = meaning.sentence_encoder(name)
            with bars() as report:
                count = meaning.embed_labels(opened, encode, name, report)
        typer.echo(f"{count:,} labels embedded by {name}.")
