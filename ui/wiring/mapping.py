"""The map: whose it is, what its script asks for, what a text lights up, what a click does."""

import time
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui.feature_lines import feature_lines
from ui.host import Host
from ui.layout import Layout
from ui.map import (
    EMPTY,
    MOST_DESCRIBED,
    lit_map,
    make_it,
    map_component,
    may_make,
    packed_map,
    warm_up,
    which_map,
)
from ui.toasts import PLUMBING, toast, toasting
from ui.wiring.events import Opened
from ui.wiring.rack import wire_opening, wire_picking

# Where the text was too long or empty, its tab stays open and the map is out of sight.
_LOOK = """() => requestAnimationFrame(() => {
  const map = document.querySelector("#map .map-over");
  if (!map?.offsetParent) return;
  document.querySelector("#map").scrollIntoView({ block: "center" });
  map.focus({ preventScroll: true });
})"""


def wire(host: Host, parts: Layout) -> None:
    """Put the map into its place in the Explore tab, and wire it."""
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
        shown = _component(host)

    _wire_choosing(host, parts, shown)

    @toasting
    def light(asked: str, now: dict[str, Any]) -> dict[str, Any]:
        return lit_map(host.session, now["sae"], asked)

    text.submit(light, [text, shown], shown, **PLUMBING)
    _wire_showing(host, parts, text, shown)
    wire_picking(host, parts, shown.pick_feature, lambda picked: [picked])
    wire_picking(host, parts, shown.pick_group, _picks_of)
    wire_opening(parts, shown)


def _component(host: Host) -> gr.HTML:
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

    return map_component(points, describe)


def _wire_choosing(host: Host, parts: Layout, shown: gr.HTML) -> None:
    """Whose map it is, making it, and the feature that is open on it."""
    explore = parts.explore

    def begin(alias: str | None, now: dict[str, Any]) -> Any:
        found = which_map(host.session, alias)
        if found["of"] == now["of"]:
            return gr.skip()
        if found["sae"] is not None:
            warm_up(host.session, found["sae"])
        return found

    chosen = [explore.tab.select, explore.sae.change, explore.atlas.change, parts.made_on.change]
    gr.on(chosen, toasting(begin), [explore.sae, shown], shown, **PLUMBING)

    def make(now: dict[str, Any]) -> dict[str, Any]:
        try:
            make_it(host, now["sae"])
        except SteeringError as error:
            toast(str(error))
            # The script asks again, and offers what it offered before.
            return {**now, "failed": time.monotonic_ns()}
        return which_map(host.session, now["sae"])

    shown.make_map(make, shown, shown, trigger_mode="once", **PLUMBING)

    def point_at(opened: Opened | None, now: dict[str, Any]) -> Any:
        if not opened:
            return gr.skip()
        other = opened["sae"] != now["sae"]
        base = which_map(host.session, opened["sae"]) if other else now
        return {**(base or EMPTY), "opened": opened["feature"]}

    explore.opened.change(toasting(point_at), [explore.opened, shown], shown, **PLUMBING)


def _wire_showing(host: Host, parts: Layout, text: gr.Textbox, shown: gr.HTML) -> None:
    """Light the map up with a text that stands elsewhere on the page, and go there."""

    # The map is lit before its tab opens: the tab's own event finds it there and leaves it.
    def show(asked: str, alias: str | None) -> list[Any]:
        lit = lit_map(host.session, alias, asked)
        return [asked, lit, gr.update(selected="explore")]

    def show_pane(event: gr.EventData, alias: str | None) -> list[Any]:
        return show(str(event._data["text"]), alias)

    filled = [text, shown, parts.tabs]
    explored = parts.explore.sae
    for told in (
        parts.show_on_map.click(toasting(show), [parts.text, explored], filled, **PLUMBING),
        parts.panes.map_pane(toasting(show_pane), explored, filled, **PLUMBING),
    ):
        told.success(None, None, None, js=_LOOK, api_visibility="private")


def _picks_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"sae": group["sae"], "feature": feature} for feature in group["features"]]
