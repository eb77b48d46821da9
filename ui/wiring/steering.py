"""Generate and Stop, the turns of a chat, and what ends a decode."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from ui import form
from ui.host import Host
from ui.layout import Layout
from ui.links import write_link
from ui.panes import drawn, empty_view
from ui.rack import with_maxima
from ui.state import PageState, reopened
from ui.tabs.steer import generate, sample_of, turns_with
from ui.toasts import PLUMBING, toast, toasting

ONCE: dict[str, Any] = {**PLUMBING, "trigger_mode": "once"}


def wire(page: gr.Blocks, host: Host, parts: Layout) -> None:
    """The Steer tab."""

    def run(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
        yield from write_panes(host, parts, values, request.session_hash)

    def stop(request: gr.Request) -> None:
        host.line.stop(request.session_hash)

    started = [parts.generate.click, parts.prompt.submit]
    ran = gr.on(started, run, parts.form, written_by(parts), **ONCE)
    _keep_address(ran, parts)
    parts.stop.click(stop, None, None, **PLUMBING)
    page.unload(stop)
    _wire_turns(host, parts, run)

    def change_mode(mode: str) -> Any:
        shown = gr.update(visible=mode == form.CHAT)
        return shown, shown

    parts.mode.input(change_mode, parts.mode, [parts.system_fold, parts.new_chat], **PLUMBING)

    def choose(event: gr.EventData) -> str:
        return str(event._data["text"])

    parts.questions.choose(choose, None, parts.prompt, **PLUMBING)


def _keep_address(ran: Any, parts: Layout) -> None:
    told = "(told) => window.playground.address(told)"
    ran.then(None, parts.wire, None, js=told, api_visibility="private")


def written_by(parts: Layout) -> list[Any]:
    """The components that a decode writes."""
    return [parts.panes, parts.turns, parts.prompt, parts.sample, parts.wire, parts.linked]


def write_panes(
    host: Host, parts: Layout, values: Sequence[Any], owner: str | None
) -> Iterator[dict[Any, Any]]:
    """Decode what the form says, and keep the address of the page up with it.

    The prompt of a chat is taken when the first words come and not at the end: what a person types
    meanwhile is the next message.
    """
    try:
        state = reopened(form.current(host, values))
        taken = False
        for view, comparison in generate(host, state, owner):
            shown: dict[Any, Any] = {parts.panes: drawn(view)}
            if state.chat and not taken and view["panes"]:
                shown[parts.prompt], taken = "", True
            if comparison is not None:
                done = _after(state, turns_with(state, comparison)) if state.chat else state
                shown[parts.turns] = [turn.model_dump() for turn in done.turns]
                shown[parts.sample] = sample_of(state, comparison)
                shown[parts.wire] = {"address": address_of(host, done)}
            yield shown
    except SteeringError as error:
        toast(str(error))
    # Gradio sends a generator's last picture twice: this one wipes nothing out.
    yield {parts.linked: False}


def _after(state: PageState, turns: Any) -> PageState:
    return state.model_copy(update={"turns": turns, "prompt": ""})


def link_to(host: Host, state: PageState) -> str:
    """A link that holds a page, with the maxima that its strengths count.

    Raises:
        SteeringError: It cannot be made.
    """
    edits = with_maxima(host.session, state.interventions)
    return write_link(state.model_copy(update={"interventions": edits}))


def address_of(host: Host, state: PageState) -> str | None:
    """The link of a page, so that a reload loses nothing; None where there can be none."""
    try:
        return link_to(host, state)
    except SteeringError:
        return None


def _wire_turns(host: Host, parts: Layout, run: Any) -> None:
    @toasting
    def back(event: gr.EventData, request: gr.Request, *values: Any) -> Any:
        state, at = form.current(host, values), int(event._data["turn"])
        if not 0 <= at < len(state.turns):
            return [gr.skip()] * 3
        host.line.abandon(request.session_hash)
        earlier = state.model_copy(update={"turns": state.turns[:at]})
        kept = [turn.model_dump() for turn in earlier.turns]
        return [kept, state.turns[at].user, drawn(empty_view(earlier))]

    def new(request: gr.Request, blind: bool) -> Any:
        host.line.abandon(request.session_hash)
        return [], "", drawn({**empty_view(), "blind": blind})

    chat = [parts.turns, parts.prompt, parts.panes]
    parts.panes.edit_turn(back, parts.form, chat, **PLUMBING)
    again = parts.panes.regenerate_turn(back, parts.form, chat, **PLUMBING)
    _keep_address(again.then(run, parts.form, written_by(parts), **ONCE), parts)
    parts.new_chat.click(new, parts.blind, chat, **PLUMBING)
