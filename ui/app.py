"""The page over a host: its layout, and the events of `ui.wiring` between its components."""

from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui import api
from ui.host import Host
from ui.layout import lay_out
from ui.rack import converted
from ui.wiring import exploring, exports, inspecting, opening, presets, rack, steering


def build_app(host: Host) -> gr.Blocks:
    """The page over a host; nothing is loaded here."""

    def convert(asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"row": converted(host.session, asked["intervention"], asked["unit"])}
        except SteeringError as error:
            return {"problem": str(error)}

    with gr.Blocks(title="Steering playground", fill_width=True) as page:
        api.publish(host)  # First, so that no plumbing takes one of its names.
        parts = lay_out(convert, writable=host.trusted)
        opening.wire(page, host, parts)
        rack.wire(host, parts)
        presets.wire(host, parts)
        steering.wire(page, host, parts)
        inspecting.wire(host, parts)
        exploring.wire(host, parts)
        exports.wire(host, parts)
    return page
