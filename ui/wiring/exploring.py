"""Searching features, opening their cards, and what a card can do."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui.explore import building, card, finding, table, trying
from ui.explore.finding import Asked
from ui.explore.table import Table
from ui.host import Host
from ui.layout import Layout
from ui.toasts import PLUMBING, toast, toasting, toasting_or
from ui.wiring.events import Opened, feature_of


def wire(host: Host, parts: Layout) -> None:
    """The Explore tab."""
    explore = parts.explore
    _wire_search(host, parts)
    _wire_cards(host, parts)

    def other_sae(alias: str, way: str) -> Any:
        return building.notice(host, alias), _ways(host, alias, way)

    told = [explore.atlas, explore.way]
    explore.sae.input(toasting(other_sae), [explore.sae, explore.way], told, **PLUMBING)
    _wire_building(host, parts)


def _wire_building(host: Host, parts: Layout) -> None:
    explore = parts.explore

    def make(alias: str) -> Iterator[Any]:
        try:
            yield from building.build_here(host, alias)
        except SteeringError as error:
            toast(str(error))
            yield building.notice(host, alias)

    def stop(alias: str) -> None:
        building.stop_building(host, alias)

    explore.atlas.stop_build(toasting(stop), explore.sae, None, **PLUMBING)

    @toasting
    def refresh(opened: Opened | None, alias: str, *written: str) -> Any:
        asked = Asked(*written)
        found = finding.find(host, alias, asked) if asked.complete else gr.skip()
        shown = card.card_of(host, opened["sae"], opened["feature"]) if opened else gr.skip()
        return found, shown, _ways(host, alias, asked.way)

    built = explore.atlas.build_atlas(
        make, explore.sae, explore.atlas, trigger_mode="once", **PLUMBING
    )
    asked = [explore.opened, *_asked(parts)]
    built.then(refresh, asked, [explore.found, explore.card, explore.way], **PLUMBING)


def at_first(host: Host, parts: Layout) -> dict[Any, Any]:
    """What the tab shows when the page opens."""
    explore, aliases = parts.explore, list(host.session.saes)
    if not aliases:
        return {explore.atlas: building.EMPTY}
    several = len(aliases) > 1
    return {
        explore.sae: gr.update(choices=aliases, value=aliases[0], visible=several),
        explore.atlas: building.notice(host, aliases[0]),
        explore.way: _ways(host, aliases[0], "label"),
    }


def _ways(host: Host, alias: str, way: str) -> Any:
    """The ways to search that an SAE has, the same one chosen as before where it has it."""
    ways, why = finding.open_ways(host, alias)
    shown = [(title, name) for name, title in ways.items()]
    return gr.update(choices=shown, value=way if way in ways else "label", info=why)


def _asked(parts: Layout) -> list[Any]:
    """The SAE, and what makes an `Asked`."""
    explore = parts.explore
    return [explore.sae, explore.words, explore.way, explore.other]


def _wire_search(host: Host, parts: Layout) -> None:
    explore = parts.explore

    @toasting
    def search(alias: str, *written: str) -> Table:
        return finding.find(host, alias, Asked(*written))

    asked = _asked(parts)
    gr.on([explore.words.submit, explore.other.submit], search, asked, explore.found, **PLUMBING)

    def again(alias: str, *written: str) -> Any:
        return search(alias, *written) if Asked(*written).complete else gr.skip()

    explore.way.input(again, asked, explore.found, **PLUMBING)

    def compared(way: str) -> Any:
        return gr.update(visible=way == "contrast")

    explore.way.input(compared, explore.way, explore.other, **PLUMBING)


def _wire_cards(host: Host, parts: Layout) -> None:
    explore = parts.explore

    for source in explore.openable:
        source.open_feature(feature_of, None, explore.opened, **PLUMBING)

    def attempt(event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        asked, text = feature_of(event), str(event._data["text"])
        alias, feature = asked["sae"], asked["feature"]
        try:
            yield from trying.attempt(host, alias, feature, text, request.session_hash)
        except SteeringError as error:
            toast(str(error))
            yield trying.trial_of(host, alias, feature)

    tried = explore.trial.try_it(attempt, None, explore.trial, **PLUMBING, trigger_mode="once")

    @toasting
    def show(opened: Opened | None) -> Any:
        if opened is None:
            return card.EMPTY, trying.EMPTY
        alias, feature = opened["sae"], opened["feature"]
        return card.card_of(host, alias, feature), trying.trial_of(host, alias, feature)

    shown = [explore.card, explore.trial]
    explore.opened.change(show, explore.opened, shown, cancels=[tried], **PLUMBING)

    @toasting_or([gr.skip(), gr.skip(), gr.skip(), None])
    def rename(event: gr.EventData, shown: Table) -> list[Any]:
        opened = feature_of(event)
        alias, feature = opened["sae"], opened["feature"]
        card.rename(host, alias, feature, str(event._data["text"]))
        view = card.card_of(host, alias, feature)
        return [
            view,
            table.relabelled(shown, alias, feature, view["label"]),
            building.notice(host, alias),
            {"renamed": view["name"], "label": view["label"]},
        ]

    renamed = [explore.card, explore.found, explore.atlas, parts.row]
    named = explore.card.edit_label(rename, explore.found, renamed, **PLUMBING)
    named.then(
        None,
        [parts.row, parts.rack],
        parts.rack,
        js="(told, rack) => window.playground.renameRows(told, rack)",
        api_visibility="private",
    )
