"""Adding features, and writing where and when into every row.

A row is made by the server and put into the rack by the browser, so that a slider moved meanwhile
stays where it is.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui import placing
from ui.host import Host
from ui.layout import Layout
from ui.rack import (
    Rack,
    interventions_of,
    is_typed_feature,
    picked_intervention,
    require_room,
    row_of,
    typed_feature,
)
from ui.tabs.inspect import search_words
from ui.toasts import PLUMBING, toast, toasting, toasting_or
from ui.wiring.events import opened_by

NONE_FOUND: dict[str, Any] = {"title": "", "features": []}
INTO_RACK: dict[str, Any] = {
    "js": "(told, rack) => window.playground.addRows(told, rack)",
    "api_visibility": "private",
}


def wire(host: Host, parts: Layout) -> None:
    """Everything about the rack that the browser cannot do alone."""
    _wire_adding(host, parts)
    _wire_placing(host, parts)

    def problem(event: gr.EventData) -> None:
        toast(str(event._data["text"]))

    for source in (parts.rack, parts.extras):
        source.problem(problem, None, None, **PLUMBING)
    parts.dice.click(
        None,
        None,
        parts.seed,
        js="() => String(Math.floor(Math.random() * 2 ** 31))",
        api_visibility="private",
    )


def _wire_adding(host: Host, parts: Layout) -> None:
    # What was found for other words must not stand below these.
    @toasting_or([None, NONE_FOUND, gr.skip()])
    def add(typed: str, rack: Rack, *where: Any) -> list[Any]:
        if not typed.strip():
            return [None, NONE_FOUND, ""]
        if not is_typed_feature(typed):
            return [None, search_words(host, typed), gr.skip()]
        require_room(rack)
        made = placing.placing_of(*where).of(typed_feature(host.session, typed))
        return [{"rows": [row_of(host.session, made)]}, NONE_FOUND, ""]

    added = parts.add.submit(
        add,
        [parts.add, parts.rack, *parts.placing],
        [parts.row, parts.found, parts.add],
        **PLUMBING,
    )
    added.then(None, [parts.row, parts.rack], parts.rack, **INTO_RACK)

    for listing in (parts.found, parts.strongest, *parts.explore.pickable):
        wire_picking(host, parts, listing.pick_feature, lambda picked: [picked])
    for listing in (parts.found, parts.strongest):
        wire_opening(parts, listing)


def wire_picking(
    host: Host, parts: Layout, told: Any, each: Callable[[Any], list[dict[str, Any]]]
) -> None:
    """Have an event of a list put features into the rack: what it tells as one pick for each."""

    @toasting_or(None)
    def pick(event: gr.EventData, rack: Rack, *where: Any) -> dict[str, Any]:
        picks = each(event._data)
        require_room(rack, len(picks))
        place = placing.placing_of(*where)
        made = [picked_intervention(host.session, picked) for picked in picks]
        return {"rows": [row_of(host.session, place.of(edit)) for edit in made]}

    # Each click counts, also while the first one still waits for a calibration.
    inputs = [parts.rack, *parts.placing]
    picked = told(pick, inputs, parts.row, trigger_mode="multiple", **PLUMBING)
    picked.then(None, [parts.row, parts.rack], parts.rack, **INTO_RACK)


def wire_opening(parts: Layout, listing: gr.HTML) -> None:
    """Have a list outside the Explore tab open a feature's card there."""

    def show(event: gr.EventData) -> Any:
        return opened_by(event), gr.update(selected="explore")

    listing.open_feature(show, None, [parts.explore.opened, parts.tabs], **PLUMBING)


def _wire_placing(host: Host, parts: Layout) -> None:
    @toasting
    def place(rack: Rack, before: list[Any], *where: Any) -> Any:
        placed = placing.replaced(interventions_of(rack), before, where)
        if list(where) == list(before):
            return [None, gr.skip()]
        return [{"rows": [row_of(host.session, each) for each in placed]}, list(where)]

    inputs = [parts.rack, parts.placed, *parts.placing]
    for control in parts.placing:
        told = control.blur if hasattr(control, "blur") else control.input
        told(place, inputs, [parts.row, parts.placed], **PLUMBING).then(
            None,
            [parts.row, parts.rack],
            parts.rack,
            js="(told, rack) => window.playground.placeRows(told, rack)",
            api_visibility="private",
        )
