"""What the events of the page's own components tell."""

import time
from typing import Any

import gradio as gr

Opened = dict[str, Any]
"""A feature, such as that of the open card: `{"sae": alias, "feature": index}`, and which click
opened it, if one did."""


def feature_of(event: gr.EventData) -> Opened:
    """The feature that an event is about."""
    return {"sae": str(event._data["sae"]), "feature": int(event._data["feature"])}


def opened_by(event: gr.EventData) -> Opened:
    """The feature that an event opens. A second click is another one: what stands in the open
    card's place may be something else by then, or nothing."""
    return {**feature_of(event), "click": time.monotonic_ns()}
