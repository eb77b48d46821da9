"""Serves the page: the port answers first, the model is loaded behind it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before gradio is imported: it reads these once, and would contact two hosts.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
from gradio.themes import Default

from steering.errors import SteeringError
from ui.app import build_app
from ui.assets import page_script, style
from ui.host import Host, Load

if TYPE_CHECKING:
    from steering.session import Session

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_WAITING = 64


class AddressError(SteeringError, OSError):
    """The page cannot be served where it was asked to be."""


def launch_options() -> dict[str, Any]:
    """What Gradio is told at every start."""
    return {
        "theme": Default(primary_hue="indigo", neutral_hue="slate"),
        "css": style(),
        "js": page_script(),
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": "1mb",
        "quiet": True,
        "prevent_thread_lock": True,
    }


def leaving_a_core(load: Load) -> Load:
    """The same, and afterwards one core is the browser's.

    Where decoding takes all cores, each of its threads waits for the one that the browser held up:
    on two cores the page wrote at half the speed of a decode alone.
    """

    def loaded() -> "Session":
        session = load()
        import torch

        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
        return session

    return loaded


def start(
    load: Load,
    *,
    presets: Path | None = None,
    host_name: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | None = None,
    share: bool = False,
) -> tuple[gr.Blocks, Host, str]:
    """Serve the page, then load the model in the background.

    Returns:
        The page (close it to end), its host, and its address.

    Raises:
        AddressError: The port is taken, or the address is not this machine's.
    """
    open_to_others = share or host_name not in LOOPBACK
    host = Host(
        leaving_a_core(load), presets=presets, trusted=auth is not None or not open_to_others
    )
    page = build_app(host)
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=None)
    try:
        _, address, shared = page.launch(
            server_name=host_name, server_port=port, auth=auth, share=share, **launch_options()
        )
    except OSError as error:
        wanted = "any port from 7860" if port is None else f"port {port}"
        raise AddressError(
            f"Cannot serve the page at {host_name}, {wanted}: it is taken or not allowed. "
            "Choose another one with --port."
        ) from error
    host.start()
    return page, host, shared or address
