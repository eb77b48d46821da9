"""A component of our own: one script draws one JSON value."""

from typing import Any

import gradio as gr

from ui.assets import script


def component(name: str, value: Any, *, elem_id: str | None = None, **options: Any) -> gr.HTML:
    """What `assets/NAME.js` draws inside an element of class NAME; its id is NAME if left out."""
    return gr.HTML(
        value,
        html_template=f'<div class="{name}"></div>',
        js_on_load=script(f"{name}.js"),
        apply_default_css=False,
        elem_id=elem_id or name,
        **options,
    )
