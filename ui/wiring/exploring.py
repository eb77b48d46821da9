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
from ui.tabs.steer import require_current
from ui.toasts import PLUMBING, toast, toasting, toasting_or
from ui.wiring.events import Opened, feature_of, opened_by


def wire(host: Host, parts: Layout) -> None:
    """The Explore tab."""
    explore = parts.explore
    _wire_search(host, parts)
    _wire_cards(host, parts)
    _wire_renaming(host, parts)

    def other_sae(alias: str, way: str, page: Any) -> Any:
        require_current(host, page)
        return building.notice(host, alias), _ways(host, alias, way)

    told = [explore.atlas, explore.way]
    asked = [explore.sae, explore.way, parts.made_on]
    explore.sae.input(toasting(other_sae), asked, told, **PLUMBING)
    _wire_building(host, parts)


def _wire_building(host: Host, parts: Layout) -> None:
    explore = parts.explore

    def make(alias: str, page: Any) -> Iterator[Any]:
        try:
            require_current(host, page)
            yield from building.build_here(host, alias)
        except SteeringError as error:
            toast(str(error))
            if alias in host.session.saes:
                yield building.notice(host, alias)

    def stop(alias: str, page: Any) -> None:
        require_current(host, page)
        building.stop_building(host, alias)

    explore.atlas.stop_build(toasting(stop), [explore.sae, parts.made_on], None, **PLUMBING)

    @toasting
    def refresh(opened: Opened | None, page: Any, alias: str, *written: str) -> Any:
        require_current(host, page)
        asked = Asked(*written)
        found = finding.find(host, alias, asked) if asked.complete else gr.skip()
        shown = card.card_of(host, opened["sae"], opened["feature"]) if opened else gr.skip()
        return found, shown, _ways(host, alias, asked.way)

    built = explore.atlas.build_atlas(
        make, [explore.sae, parts.made_on], explore.atlas, trigger_mode="once", **PLUMBING
    )
    asked = [explore.opened, *_asked(parts)]
    built.then(refresh, asked, [explore.found, explore.card, explore.way], **PLUMBING)


def at_first(host: Host, parts: Layout) -> dict[Any, Any]:
    """What the tab shows when the page opens."""
    explore, aliases = parts.explore, list(host.session.saes)
    if not aliases:
        return {explore.atlas: building.EMPTY}
    choice = gr.update(choices=aliases, value=aliases[0], visible=len(aliases) > 1)
    return {**_of(host, parts, aliases[0], "label"), explore.sae: choice}


def anew(host: Host, parts: Layout) -> dict[Any, Any]:
    """The same where another model was explored before: nothing of that one stays."""
    explore = parts.explore
    return {**at_first(host, parts), explore.found: table.EMPTY, explore.opened: None}


def _of(host: Host, parts: Layout, alias: str, way: str) -> dict[Any, Any]:
    """An SAE as the one that is explored, with its atlas and the ways to search it."""
    explore = parts.explore
    return {
        explore.sae: gr.update(value=alias),
        explore.atlas: building.notice(host, alias),
        explore.way: _ways(host, alias, way),
    }


def _ways(host: Host, alias: str, way: str) -> Any:
    """The ways to search that an SAE has, the same one chosen as before where it has it."""
    ways, why = finding.open_ways(host, alias)
    shown = [(title, name) for name, title in ways.items()]
    return gr.update(choices=shown, value=way if way in ways else "label", info=why)


def _asked(parts: Layout) -> list[Any]:
    """Whose page it is, the SAE, and what makes an `Asked`."""
    explore = parts.explore
    return [parts.made_on, explore.sae, explore.words, explore.way, explore.other]


def _wire_search(host: Host, parts: Layout) -> None:
    explore = parts.explore

    # What was found before is not what is asked for now, so it does not stay below a refusal.
    @toasting_or(table.EMPTY)
    def search(page: Any, alias: str, *written: str) -> Table:
        require_current(host, page)
        return finding.find(host, alias, Asked(*written))

    asked = _asked(parts)
    # What was asked last is what is meant.
    last: dict[str, Any] = {"trigger_mode": "always_last", **PLUMBING}
    gr.on([explore.words.submit, explore.other.submit], search, asked, explore.found, **last)

    def again(page: Any, alias: str, *written: str) -> Any:
        return search(page, alias, *written) if Asked(*written).complete else gr.skip()

    explore.way.input(again, asked, explore.found, **last)

    def compared(way: str) -> Any:
        return gr.update(visible=way == "contrast")

    explore.way.input(compared, explore.way, explore.other, **PLUMBING)


def _wire_cards(host: Host, parts: Layout) -> None:
    explore = parts.explore

    for source in explore.openable:
        source.open_feature(opened_by, None, explore.opened, **PLUMBING)

    def attempt(event: gr.EventData, request: gr.Request, page: Any) -> Iterator[Any]:
        asked, text = feature_of(event), str(event._data["text"])
        alias, feature = asked["sae"], asked["feature"]
        try:
            require_current(host, page)
            yield from trying.attempt(host, alias, feature, text, request.session_hash)
        except SteeringError as error:
            toast(str(error))
            yield trying.trial_of(host, alias, feature)

    tried = explore.trial.try_it(
        attempt, parts.made_on, explore.trial, trigger_mode="once", **PLUMBING
    )

    @toasting
    def show(opened: Opened | None, chosen: str, way: str, page: Any) -> dict[Any, Any]:
        if opened is None:
            return {explore.card: card.EMPTY, explore.trial: trying.EMPTY}
        require_current(host, page)
        alias, feature = opened["sae"], opened["feature"]
        shown = {
            explore.card: card.card_of(host, alias, feature),
            explore.trial: trying.trial_of(host, alias, feature),
        }
        return shown if alias == chosen else {**shown, **_of(host, parts, alias, way)}

    asked = [explore.opened, explore.sae, explore.way, parts.made_on]
    shown = [explore.card, explore.trial, explore.sae, explore.atlas, explore.way]
    explore.opened.change(show, asked, shown, cancels=[tried], **PLUMBING)


def _wire_renaming(host: Host, parts: Layout) -> None:
    explore = parts.explore

    @toasting_or([gr.skip(), gr.skip(), gr.skip(), None])
    def rename(event: gr.EventData, shown: Table, page: Any) -> list[Any]:
        require_current(host, page)
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
    named = explore.card.edit_label(rename, [explore.found, parts.made_on], renamed, **PLUMBING)
    named.then(
        None,
        [parts.row, parts.rack],
        parts.rack,
        js="(told, rack) => window.playground.renameRows(told, rack)",
        api_visibility="private",
    )
