"""A component of our own: one script draws one JSON value."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.assets import script


def component(
    name: str,
    value: Any,
    *,
    elem_id: str | None = None,
    parts: Sequence[str] = (),
    **options: Any,
) -> gr.HTML:
    """What `assets/NAME.js` draws inside an element of class NAME; its id is NAME if left out.

    `parts` are scripts of `assets` that it stands on.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="{name}"></div>',
        js_on_load=script(*parts, f"{name}.js"),
        apply_default_css=False,
        elem_id=elem_id or name,
        **options,
    )


def small_button(text: str, elem_id: str, **options: Any) -> gr.Button:
    """A button that stands beside others."""
    return gr.Button(text, size="sm", min_width=60, elem_id=elem_id, **options)
