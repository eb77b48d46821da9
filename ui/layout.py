"""What the page looks like: every component, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import placing, sampling
from ui.component import component
from ui.form import CHAT, COMPLETION
from ui.gallery import gallery_component
from ui.panes import panes_component
from ui.rack import feature_rack
from ui.tabs.explore import Explore, explore_tab
from ui.tabs.inspect import features_component, heatmap_component

LOADING = {"kind": "loading", "text": "Starting …"}


@dataclass(frozen=True)
class Presets:
    """The gallery and what stands around it."""

    gallery: gr.HTML
    picked: gr.State
    save: gr.Button
    save_as: gr.Button
    download: gr.Button
    upload: gr.UploadButton
    copy_link: gr.Button
    form: gr.Group
    title: gr.Textbox
    description: gr.Textbox
    write: gr.Button


@dataclass(frozen=True)
class Exports:
    """The Export tab."""

    tab: gr.Tab
    command: gr.Code
    program: gr.Code
    curl: gr.Code
    download: gr.Button
    refresh: gr.Button


@dataclass(frozen=True)
class Layout:
    """Every component that an event reads or writes."""

    notice: gr.HTML
    badge: gr.HTML
    rack: gr.HTML
    add: gr.Textbox
    found: gr.HTML
    presets: Presets
    sampling: list[Any]
    dice: gr.Button
    placing: list[Any]
    tabs: gr.Tabs
    mode: gr.Radio
    new_chat: gr.Button
    system_fold: gr.Accordion
    system: gr.Textbox
    prompt: gr.Textbox
    generate: gr.Button
    stop: gr.Button
    questions: gr.HTML
    extras: gr.HTML
    blind: gr.Checkbox
    panes: gr.HTML
    text: gr.Textbox
    inspect: gr.Button
    heatmap: gr.HTML
    strongest: gr.HTML
    explore: Explore
    exports: Exports
    made_on: gr.State
    turns: gr.State
    sample: gr.State
    pending: gr.State
    linked: gr.State
    placed: gr.State
    """What the controls of placing showed last."""
    wire: gr.JSON
    """Hidden: what the browser's own script is told, such as a link to copy."""
    row: gr.JSON
    """Hidden: rows that the browser puts into the rack."""

    @property
    def form(self) -> list[Any]:
        """The components that hold a page's state, in the order of `ui.form`."""
        first = [self.made_on, self.turns, self.placed, self.rack, self.extras]
        asked = [self.prompt, self.mode, self.system, self.blind]
        return [*first, *asked, *self.sampling, *self.placing]

    @property
    def seed(self) -> gr.Textbox:
        """The control of the seed."""
        return self.sampling[sampling.NAMES.index("seed")]


def lay_out(convert: Callable[..., Any], *, writable: bool) -> Layout:
    """Put every component on the page; call it inside `gr.Blocks`.

    Args:
        convert: What the rack asks when a person changes a unit.
        writable: Whether presets can be saved and imported here.
    """
    with gr.Sidebar(width=400, elem_id="sidebar"):
        side = _sidebar(convert, writable=writable)
    notice = component("notice", LOADING)
    with gr.Tabs(elem_id="tabs") as tabs:
        with gr.Tab("Steer", id="steer"):
            steer = _steer_tab()
        with gr.Tab("Explore", id="explore") as tab:
            explore = explore_tab(tab)
        with gr.Tab("Inspect", id="inspect"):
            inspect = _inspect_tab()
        with gr.Tab("Export", id="export") as tab:
            exports = _export_tab(tab)
    return Layout(
        notice=notice,
        tabs=tabs,
        explore=explore,
        exports=exports,
        made_on=gr.State(None),
        turns=gr.State([]),
        sample=gr.State(None),
        pending=gr.State(None),
        linked=gr.State(False),
        placed=gr.State(placing.values_of(())),
        wire=gr.JSON(visible=False),
        row=gr.JSON(visible=False),
        **side,
        **steer,
        **inspect,
    )


def _sidebar(convert: Callable[..., Any], *, writable: bool) -> dict[str, Any]:
    gr.HTML("<h1>Steering playground</h1>", apply_default_css=False, js_on_load=None)
    parts: dict[str, Any] = {"badge": component("badge", {})}
    parts["rack"] = feature_rack(server_functions=[convert])
    parts["add"] = gr.Textbox(
        label="Add a feature",
        placeholder="1234, 1234=2.5, a Neuronpedia address, or words",
        submit_btn="Add",
        max_lines=1,
        elem_id="add",
        interactive=True,
    )
    parts["found"] = features_component(elem_id="found")
    with gr.Accordion("Presets", open=True):
        parts["presets"] = _presets(writable=writable)
    with gr.Accordion("How to write", open=False):
        parts["sampling"] = sampling.controls()
        parts["dice"] = gr.Button("🎲 Another seed", size="sm", elem_id="dice")
    with gr.Accordion("Where and when to steer", open=False):
        parts["placing"] = placing.controls()
    return parts


def _presets(*, writable: bool) -> Presets:
    gallery = gallery_component()
    with gr.Row():
        save = _small("Save", "save", visible=writable)
        save_as = _small("Save as …", "save-as", visible=writable)
        upload = gr.UploadButton(
            "Import",
            size="sm",
            min_width=60,
            file_types=[".json"],
            type="filepath",
            elem_id="import",
        )
        download = _small("Export", "download")
        copy_link = _small("Copy link", "copy-link")
    with gr.Group(visible=False, elem_id="save-form") as form:
        title = gr.Textbox(
            label="Name of the preset", max_lines=1, elem_id="title", interactive=True
        )
        description = gr.Textbox(
            label="One sentence", max_lines=2, elem_id="description", interactive=True
        )
        write = _small("Save preset", "write")
    picked = gr.State(None)
    buttons = (save, save_as, download, upload, copy_link)
    return Presets(gallery, picked, *buttons, form, title, description, write)


def _small(text: str, elem_id: str, **options: Any) -> gr.Button:
    return gr.Button(text, size="sm", min_width=60, elem_id=elem_id, **options)


def _steer_tab() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="mode-row"):
        parts["mode"] = gr.Radio(
            [COMPLETION, CHAT],
            value=COMPLETION,
            show_label=False,
            container=False,
            interactive=True,
            elem_id="mode",
        )
        parts["blind"] = gr.Checkbox(
            False,
            label="Blind: the next texts hide which is which until rated",
            container=False,
            min_width=280,
            elem_id="blind",
            interactive=True,
        )
        parts["new_chat"] = _small("New chat", "new-chat", visible=False, scale=0)
    with gr.Accordion("System message", open=False, visible=False) as parts["system_fold"]:
        parts["system"] = gr.Textbox(
            show_label=False,
            label="System message",
            container=False,
            lines=2,
            max_lines=6,
            placeholder="How the model is told to behave; may stay empty.",
            elem_id="system",
            interactive=True,
        )
    with gr.Row(equal_height=True, elem_id="prompt-row"):
        parts["prompt"] = gr.Textbox(
            label="Prompt",
            lines=2,
            max_lines=8,
            placeholder="Write something. Ctrl+Enter generates, Esc stops. In a chat, an empty "
            "prompt writes the last answer again.",
            elem_id="prompt",
            scale=8,
            interactive=True,
        )
        with gr.Column(scale=1, min_width=120):
            parts["generate"] = gr.Button("Generate", variant="primary", elem_id="generate")
            parts["stop"] = gr.Button("Stop", variant="stop", elem_id="stop")
    parts["questions"] = component("chips", [])
    parts["extras"] = component("extras", [])
    parts["panes"] = panes_component()
    return parts


def _inspect_tab() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    parts["text"] = gr.Textbox(
        label="Text to look into (the unsteered model reads it)",
        lines=4,
        max_lines=12,
        elem_id="inspect-text",
        interactive=True,
    )
    parts["inspect"] = gr.Button("Inspect", variant="primary", elem_id="inspect-button")
    parts["heatmap"] = heatmap_component()
    parts["strongest"] = features_component(elem_id="strongest")
    return parts


def _export_tab(tab: gr.Tab) -> Exports:
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
        refresh = _small("Refresh", "export-refresh")
        download = _small("Download as a preset file", "export-preset")
    return Exports(tab, command, program, curl, download, refresh)


def _code(label: str, language: Any, elem_id: str, *, lines: int) -> gr.Code:
    looks = {"lines": 2, "max_lines": lines, "wrap_lines": True, "interactive": False}
    return gr.Code(label=label, language=language, elem_id=elem_id, **looks)
