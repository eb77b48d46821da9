"""The heat of a text, and the strongest features of a token."""

from typing import Any

import gradio as gr

from ui.host import Host
from ui.layout import Layout
from ui.rack import Rack, interventions_of
from ui.tabs.inspect import EMPTY, read_text, strongest_at
from ui.tabs.steer import require_current
from ui.toasts import PLUMBING, toasting
from ui.wiring.rack import NONE_FOUND


def wire(host: Host, parts: Layout) -> None:
    """The Inspect tab."""
    shown = [parts.heatmap, parts.strongest]
    asked = [parts.text, parts.rack]

    @toasting
    def inspect_text(text: str, rack: Rack) -> Any:
        return read_text(host, text, interventions_of(rack)), NONE_FOUND

    parts.inspect.click(inspect_text, asked, shown, **PLUMBING)

    def send(event: gr.EventData) -> Any:
        return str(event._data["text"]), gr.update(selected="inspect")

    parts.panes.inspect_pane(send, None, [parts.text, parts.tabs], **PLUMBING).then(
        inspect_text, asked, shown, **PLUMBING
    )

    @toasting
    def pick_token(event: gr.EventData, page: Any) -> Any:
        require_current(host, page)
        return strongest_at(host, str(event._data["text"]), int(event._data["position"]))

    # The last token that was clicked is the one that is meant.
    parts.heatmap.pick_token(
        pick_token, parts.made_on, parts.strongest, trigger_mode="always_last", **PLUMBING
    )


def anew(parts: Layout) -> dict[Any, Any]:
    """What the tab shows where another model read a text before."""
    return {parts.heatmap: EMPTY, parts.strongest: NONE_FOUND}
