"""What a visitor sees first: how far loading is, then the page, or what a link holds."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui import form
from ui.gallery import cards
from ui.host import Host
from ui.layout import Layout
from ui.links import PARAMETER, read_link, require_same_saes
from ui.panes import drawn, empty_view
from ui.rack import without_known_maxima
from ui.state import PageState
from ui.tabs.steer import made_on, marks
from ui.toasts import PLUMBING, toast
from ui.wiring import exploring
from ui.wiring.steering import write_panes, written_by

NOTHING = {"kind": "none", "text": ""}


def wire(page: gr.Blocks, host: Host, parts: Layout) -> None:
    """Fill the page when it opens."""

    def load() -> Iterator[dict[Any, Any]]:
        yield from waiting(host, parts)

    # A step of its own: Gradio sends a generator's last picture twice, and the second sending
    # would wipe out what a quick visitor did in between.
    def fill(request: gr.Request) -> dict[Any, Any]:
        if host.status.phase == "failed":
            return {parts.linked: False}
        linked = linked_state(host, request.query_params.get(PARAMETER))
        return {
            parts.notice: NOTHING,
            parts.badge: badge(host),
            parts.presets.gallery: cards(host.presets, writable=host.trusted),
            parts.linked: linked is not None,
            **exploring.at_first(host, parts),
            **showing(host, parts, linked or blank_state(host)),
        }

    def go_on(request: gr.Request, linked: bool, *values: Any) -> Iterator[dict[Any, Any]]:
        if linked:
            yield from write_panes(host, parts, values, request.session_hash)
        yield {parts.linked: False}

    everything = [parts.notice, parts.badge, parts.presets.gallery, parts.linked]
    everything += [parts.explore.sae, parts.explore.atlas, parts.explore.way]
    loaded = page.load(load, None, parts.notice, **PLUMBING)
    filled = loaded.then(fill, None, [*everything, *shown_by(parts)], **PLUMBING)
    filled.then(go_on, [parts.linked, *parts.form], written_by(parts), **PLUMBING)


def waiting(host: Host, parts: Layout) -> Iterator[dict[Any, Any]]:
    """Say how far loading is until it ends; at the end what went wrong, if anything did."""
    yield {parts.notice: {"kind": "loading", "text": host.status.note}}
    while not host.wait(0.25):
        yield {parts.notice: {"kind": "loading", "text": host.status.note}}
    if host.problem is not None:
        yield {parts.notice: {"kind": "failed", "text": host.problem}}


def linked_state(host: Host, packed: str | None) -> PageState | None:
    """What the page's address holds; None without a link, or with one that cannot be used."""
    if not packed:
        return None
    try:
        found = read_link(packed)
        require_same_saes(found, host.session.model.name, marks(host))
        edits = without_known_maxima(host.session, found.interventions)
        found = found.model_copy(update={"interventions": edits})
        form.fill_form(host.session, found)
    except SteeringError as error:
        toast(str(error))
        return None
    return found


def blank_state(host: Host) -> PageState:
    """A page on which nothing is set."""
    return PageState(**made_on(host), chat=host.session.model.has_chat_template)


def badge(host: Host) -> dict[str, Any]:
    """What is loaded, in a few words."""
    session = host.session
    about = session.model.describe()
    saes = [
        {
            "alias": alias,
            "about": f"{sae.name} · {sae.hook_name} · {sae.d_sae:,} features",
            "fingerprint": f"fingerprint {sae.fingerprint}",
        }
        for alias, sae in session.saes.items()
    ]
    size = f"{about['n_layers']} layers × {about['d_model']}, {about['dtype']}, {about['device']}"
    return {"model": session.model.name, "size": size, "saes": saes, "warnings": session.warnings}


def shown_by(parts: Layout) -> list[Any]:
    """The components that `showing` writes."""
    return [*parts.form, parts.panes, parts.system_fold, parts.new_chat]


def showing(host: Host, parts: Layout, state: PageState) -> dict[Any, Any]:
    """A state on the page."""
    values = dict(zip(parts.form, form.fill_form(host.session, state), strict=True))
    return {
        **values,
        parts.panes: drawn(empty_view(state)),
        parts.system_fold: gr.update(visible=state.chat, open=bool(state.system)),
        parts.new_chat: gr.update(visible=state.chat),
    }
