"""What the events of the page's own components tell."""

from typing import Any

import gradio as gr

Opened = dict[str, Any]
"""A feature, such as that of the open card: `{"sae": alias, "feature": index}`."""


def feature_of(event: gr.EventData) -> Opened:
    """The feature that an event is about."""
    return {"sae": str(event._data["sae"]), "feature": int(event._data["feature"])}
