"""Searching features, opening their cards, and what a card can do."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui.explore import building, card, finding, trying
from ui.explore.finding import Table
from ui.host import Host
from ui.layout import Layout
from ui.toasts import PLUMBING, toast, toasting

Opened = dict[str, Any]
"""The feature of the open card: `{"sae": alias, "feature": index}`."""


def wire(host: Host, parts: Layout) -> None:
    """The Explore tab."""
    explore = parts.explore
    _wire_search(host, parts)
    _wire_cards(host, parts)
    explore.sae.input(
        toasting(lambda alias: building.notice(host, alias)), explore.sae, explore.atlas, **PLUMBING
    )
    _wire_building(host, parts)


def _wire_building(host: Host, parts: Layout) -> None:
    explore = parts.explore

    def make(alias: str) -> Iterator[Any]:
        try:
            yield from building.build_here(host, alias)
        except SteeringError as error:
            toast(str(error))
            yield building.notice(host, alias)

    @toasting
    def refresh(opened: Opened | None, words: str, way: str, alias: str) -> Any:
        table = finding.find(host, alias, words, way) if words.strip() else gr.skip()
        if opened is None:
            return table, gr.skip()
        return table, card.card_of(host, opened["sae"], opened["feature"])

    built = explore.atlas.build_atlas(
        make, explore.sae, explore.atlas, trigger_mode="once", **PLUMBING
    )
    asked = [explore.opened, *_asked(parts)]
    built.then(refresh, asked, [explore.found, explore.card], **PLUMBING)


def at_first(host: Host, parts: Layout) -> dict[Any, Any]:
    """What the tab shows when the page opens."""
    explore, aliases = parts.explore, list(host.session.saes)
    if not aliases:
        return {explore.atlas: building.EMPTY}
    several = len(aliases) > 1
    return {
        explore.sae: gr.update(choices=aliases, value=aliases[0], visible=several),
        explore.atlas: building.notice(host, aliases[0]),
    }


def _asked(parts: Layout) -> list[Any]:
    return [parts.explore.words, parts.explore.way, parts.explore.sae]


def _wire_search(host: Host, parts: Layout) -> None:
    explore = parts.explore

    @toasting
    def search(words: str, way: str, alias: str) -> Table:
        return finding.find(host, alias, words, way)

    asked = _asked(parts)
    explore.words.submit(search, asked, explore.found, **PLUMBING)

    def again(words: str, way: str, alias: str) -> Any:
        return search(words, way, alias) if words.strip() else gr.skip()

    explore.way.input(again, asked, explore.found, **PLUMBING)


def _wire_cards(host: Host, parts: Layout) -> None:
    explore = parts.explore

    def open_card(event: gr.EventData) -> Opened:
        return {"sae": event._data["sae"], "feature": int(event._data["feature"])}

    for source in explore.openable:
        source.open_feature(open_card, None, explore.opened, **PLUMBING)

    def attempt(event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        asked = event._data
        try:
            yield from trying.attempt(
                host, asked["sae"], int(asked["feature"]), asked["text"], request.session_hash
            )
        except SteeringError as error:
            toast(str(error))
            yield trying.trial_of(host, asked["sae"], int(asked["feature"]))

    tried = explore.trial.try_it(attempt, None, explore.trial, **PLUMBING, trigger_mode="once")

    @toasting
    def show(opened: Opened | None) -> Any:
        if opened is None:
            return card.EMPTY, trying.EMPTY
        alias, feature = opened["sae"], opened["feature"]
        return card.card_of(host, alias, feature), trying.trial_of(host, alias, feature)

    shown = [explore.card, explore.trial]
    explore.opened.change(show, explore.opened, shown, cancels=[tried], **PLUMBING)

    @toasting
    def rename(event: gr.EventData, table: Table) -> Any:
        asked = event._data
        alias, feature = asked["sae"], int(asked["feature"])
        card.rename(host, alias, feature, str(asked["text"]))
        return (
            card.card_of(host, alias, feature),
            finding.relabelled(host, table, alias, feature),
            building.notice(host, alias),
        )

    renamed = [explore.card, explore.found, explore.atlas]
    explore.card.edit_label(rename, explore.found, renamed, **PLUMBING)
