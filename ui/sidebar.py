"""The sidebar: the rack, what adds to it, the presets, how and where to write."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import placing, sampling
from ui.component import component, small_button
from ui.gallery import gallery_component
from ui.rack import feature_rack
from ui.tabs.inspect import features_component


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


def sidebar(convert: Callable[..., Any], *, writable: bool) -> dict[str, Any]:
    """Put the sidebar's components on the page; each by its name in `ui.layout.Layout`."""
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
        save = small_button("Save", "save", visible=writable)
        save_as = small_button("Save as …", "save-as", visible=writable)
        upload = gr.UploadButton(
            "Import",
            size="sm",
            min_width=60,
            file_types=[".json"],
            type="filepath",
            elem_id="import",
        )
        download = small_button("Export", "download")
        copy_link = small_button("Copy link", "copy-link")
    with gr.Group(visible=False, elem_id="save-form") as form:
        title = gr.Textbox(
            label="Name of the preset", max_lines=1, elem_id="title", interactive=True
        )
        description = gr.Textbox(
            label="One sentence", max_lines=2, elem_id="description", interactive=True
        )
        write = small_button("Save preset", "write")
    picked = gr.State(None)
    buttons = (save, save_as, download, upload, copy_link)
    return Presets(gallery, picked, *buttons, form, title, description, write)
