"""The map: whose it is, what its script asks for, what a text lights up, what a click does."""

from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui.feature_lines import feature_lines
from ui.host import Host
from ui.layout import Layout
from ui.map import (
    EMPTY,
    MOST_DESCRIBED,
    lit_by,
    make_it,
    map_component,
    may_make,
    packed_map,
    warm_up,
    which_map,
)
from ui.toasts import PLUMBING, toasting
from ui.wiring.rack import wire_opening, wire_picking


def wire(host: Host, parts: Layout) -> None:
    """Put the map into its place in the Explore tab, and wire it."""

    def points(asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return packed_map(host.session, str(asked["sae"]))
        except SteeringError as error:
            return {"problem": str(error), "offer": may_make(host, str(asked["sae"]))}

    def describe(asked: dict[str, Any]) -> dict[str, Any]:
        features = [int(each) for each in asked["features"][:MOST_DESCRIBED]]
        try:
            return {"features": feature_lines(host.session, str(asked["sae"]), features)}
        except SteeringError as error:
            return {"problem": str(error)}

    with parts.explore.map:
        text = gr.Textbox(
            label="Light the map up with a text (the unsteered model reads it)",
            placeholder="Paste a text to see which features it fires.",
            lines=2,
            max_lines=6,
            submit_btn="Light up",
            elem_id="map-text",
            interactive=True,
        )
        shown = map_component(points, describe)

    def begin(alias: str | None, now: dict[str, Any]) -> Any:
        found = which_map(host.session, alias)
        if found["of"] == now["of"]:
            return gr.skip()
        if found["sae"] is not None:
            warm_up(host.session, found["sae"])
        return found

    explore = parts.explore
    gr.on(
        [explore.tab.select, explore.sae.change, explore.atlas.change, parts.made_on.change],
        toasting(begin),
        [explore.sae, shown],
        shown,
        **PLUMBING,
    )

    @toasting
    def make(now: dict[str, Any]) -> dict[str, Any]:
        make_it(host, now["sae"])
        return which_map(host.session, now["sae"])

    shown.make_map(make, shown, shown, trigger_mode="once", **PLUMBING)

    @toasting
    def light(asked: str, now: dict[str, Any]) -> dict[str, Any]:
        here = now if now["sae"] in host.session.saes else which_map(host.session)
        return {**here, "lit": lit_by(host.session, here["sae"], asked), "opened": None}

    text.submit(light, [text, shown], shown, **PLUMBING)

    def point_at(opened: dict[str, Any] | None, now: dict[str, Any]) -> Any:
        if not opened:
            return gr.skip()
        other = opened["sae"] != now["sae"]
        base = which_map(host.session, opened["sae"]) if other else now
        return {**(base or EMPTY), "opened": opened["feature"]}

    parts.explore.opened.change(
        toasting(point_at), [parts.explore.opened, shown], shown, **PLUMBING
    )
    wire_picking(host, parts, shown.pick_feature, lambda picked: [picked])
    wire_picking(host, parts, shown.pick_group, _picks_of)
    wire_opening(parts, shown)


def _picks_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"sae": group["sae"], "feature": feature} for feature in group["features"]]
