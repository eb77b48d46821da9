"""The Export tab: where its components stand. What they say is made in `ui.exports`."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.component import small_button


@dataclass(frozen=True)
class Exports:
    """The Export tab."""

    tab: gr.Tab
    command: gr.Code
    program: gr.Code
    curl: gr.Code
    download: gr.Button
    refresh: gr.Button


def export_tab(tab: gr.Tab) -> Exports:
    """Put the tab's components on the page; call it inside the tab."""
    gr.HTML(
        "<p>The page as it stood when this tab was opened. The script holds every pane; the other "
        "forms hold the unsteered and the steered side, and in a chat both of them read the "
        "steered side's history.</p>",
        apply_default_css=False,
        js_on_load=None,
    )
    command = _code("Command", "shell", "command", lines=5)
    program = _code("Python", "python", "script", lines=24)
    curl = _code("curl, to this page", "shell", "curl", lines=6)
    with gr.Row():
        refresh = small_button("Refresh", "export-refresh")
        download = small_button("Download as a preset file", "export-preset")
    return Exports(tab, command, program, curl, download, refresh)


def _code(label: str, language: Any, elem_id: str, *, lines: int) -> gr.Code:
    looks = {"lines": 2, "max_lines": lines, "wrap_lines": True, "interactive": False}
    return gr.Code(label=label, language=language, elem_id=elem_id, **looks)
