"""What the page looks like: every component, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import placing, sampling
from ui.component import component, small_button
from ui.form import CHAT, COMPLETION
from ui.panes import panes_component
from ui.sidebar import Presets, sidebar
from ui.tabs.explore import Explore, explore_tab
from ui.tabs.export import Exports, export_tab
from ui.tabs.inspect import features_component, heatmap_component

LOADING = {"kind": "loading", "text": "Starting …"}


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
    show_on_map: gr.Button
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
        side = sidebar(convert, writable=writable)
    notice = component("notice", LOADING)
    with gr.Tabs(elem_id="tabs") as tabs:
        with gr.Tab("Steer", id="steer"):
            steer = _steer_tab()
        with gr.Tab("Explore", id="explore") as tab:
            explore = explore_tab(tab)
        with gr.Tab("Inspect", id="inspect"):
            inspect = _inspect_tab()
        with gr.Tab("Export", id="export") as tab:
            exports = export_tab(tab)
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
        parts["new_chat"] = small_button("New chat", "new-chat", visible=False, scale=0)
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
    with gr.Row():
        parts["inspect"] = gr.Button(
            "Inspect", variant="primary", elem_id="inspect-button", min_width=160, scale=3
        )
        parts["show_on_map"] = gr.Button(
            "Show on map", elem_id="show-on-map", min_width=160, scale=1
        )
    parts["heatmap"] = heatmap_component()
    parts["strongest"] = features_component(elem_id="strongest")
    return parts
