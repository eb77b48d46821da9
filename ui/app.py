"""The page: which function runs behind which component of `ui.layout`."""

import functools
import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.interventions import Intervention
from ui import api, form, shelf
from ui.exports import as_command, as_curl, as_script
from ui.gallery import cards, questions_of
from ui.host import Host
from ui.layout import Layout, lay_out
from ui.links import PARAMETER, read_link, require_same_saes, write_link
from ui.panes import empty_view
from ui.placing import placing_of
from ui.rack import (
    Rack,
    converted,
    interventions_of,
    is_typed_feature,
    new_intervention,
    row_of,
    typed_feature,
)
from ui.state import PageState, reopened
from ui.tabs.inspect import read_text, search_words, strongest_at
from ui.tabs.steer import generate, made_on, marks, sample_of, turns_with

NOTHING = {"kind": "none", "text": ""}
NONE_FOUND: dict[str, Any] = {"title": "", "features": []}
PLUMBING: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
"""No endpoint for programs and no overlay; requests that decode wait in the host's own line."""


def toast(text: str) -> None:
    """Say something in a corner of the page; it may quote anything, so it is escaped."""
    gr.Warning(html.escape(text), duration=12)


def toasting(run: Callable[..., Any]) -> Callable[..., Any]:
    """What it raises on purpose becomes a toast, and the page stays as it is."""

    @functools.wraps(run)
    def said(*values: Any, **named: Any) -> Any:
        try:
            return run(*values, **named)
        except SteeringError as error:
            toast(str(error))
            return gr.skip()

    return said


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
        _wire_opening(page, host, parts)
        _wire_rack(host, parts)
        _wire_presets(host, parts)
        _wire_steering(page, host, parts)
        _wire_inspecting(host, parts)
        _wire_exports(host, parts)
    return page


def _wire_opening(page: gr.Blocks, host: Host, parts: Layout) -> None:
    """What a visitor sees first: how far loading is, then the page, or what a link holds."""

    def load() -> Iterator[dict[Any, Any]]:
        yield from waiting(host, parts)

    # A generator's last picture is sent twice, so what fills the page is a step of its own: the
    # second sending would wipe out what a quick visitor did in between.
    def fill(request: gr.Request) -> dict[Any, Any]:
        if host.status.phase == "failed":
            return {parts.linked: False}
        linked = linked_state(host, request.query_params.get(PARAMETER))
        return {
            parts.notice: NOTHING,
            parts.badge: badge(host),
            parts.presets.gallery: cards(host.presets, writable=host.trusted),
            parts.linked: linked is not None,
            **showing(host, parts, linked or blank_state(host)),
        }

    def go_on(request: gr.Request, linked: bool, *values: Any) -> Iterator[dict[Any, Any]]:
        yield {parts.linked: False}  # Gradio empties every output of a generator without a yield.
        if linked:
            yield from writing_panes(host, parts, values, request)

    everything = [parts.notice, parts.badge, parts.presets.gallery, parts.linked]
    loaded = page.load(load, None, parts.notice, **PLUMBING)
    filled = loaded.then(fill, None, [*everything, *shown_by(parts)], **PLUMBING)
    filled.then(go_on, [parts.linked, *parts.form], written_by(parts), **PLUMBING)


def linked_state(host: Host, packed: str | None) -> PageState | None:
    """What the page's address holds; None without a link, or with one that cannot be used."""
    if not packed:
        return None
    try:
        found = read_link(packed)
        require_same_saes(found, host.session.model.name, marks(host))
        form.fill_form(host.session, found)
    except SteeringError as error:
        toast(str(error))
        return None
    return found


def waiting(host: Host, parts: Layout) -> Iterator[dict[Any, Any]]:
    """Say how far loading is until it ends; at the end what went wrong, if anything did."""
    yield {parts.notice: {"kind": "loading", "text": host.status.note}}
    while not host.wait(0.25):
        yield {parts.notice: {"kind": "loading", "text": host.status.note}}
    if host.status.phase == "failed":
        yield {parts.notice: {"kind": "failed", "text": host.status.note}}


def blank_state(host: Host) -> PageState:
    """A page on which nothing is set."""
    session = host.session
    chat = session.model.has_chat_template
    return PageState(**made_on(host), chat=chat)


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
    return [*parts.form, *parts.placing, parts.panes, parts.system_fold, parts.new_chat]


def showing(host: Host, parts: Layout, state: PageState) -> dict[Any, Any]:
    """A state on the page."""
    values = dict(zip(parts.form, form.fill_form(host.session, state), strict=True))
    return {
        **values,
        **dict(zip(parts.placing, form.fill_placing(state), strict=True)),
        parts.panes: empty_view(state),
        parts.system_fold: gr.update(visible=state.chat, open=bool(state.system)),
        parts.new_chat: gr.update(visible=state.chat),
    }


def _wire_rack(host: Host, parts: Layout) -> None:
    """Adding features; what else the rack does it does in the browser."""
    into_rack = [parts.rack, parts.found, parts.add]

    @toasting
    def add(typed: str, rack: Rack, *where: Any) -> list[Any]:
        if not typed.strip():
            return [rack, NONE_FOUND, ""]
        if not is_typed_feature(typed):
            return [gr.skip(), search_words(host, typed), gr.skip()]
        made = placing_of(*where).of(typed_feature(host.session, typed))
        return [with_row(host, rack, made), NONE_FOUND, ""]

    parts.add.submit(add, [parts.add, parts.rack, *parts.placing], into_rack, **PLUMBING)

    @toasting
    def pick(event: gr.EventData, rack: Rack, *where: Any) -> Rack:
        made = new_intervention(host.session, event._data["sae"], event._data["feature"])
        return with_row(host, rack, placing_of(*where).of(made))

    for listing in (parts.found, parts.strongest):
        listing.pick_feature(pick, [parts.rack, *parts.placing], parts.rack, **PLUMBING)

    @toasting
    def place(rack: Rack, *where: Any) -> Rack:
        placing = placing_of(*where)
        placed = [row_of(host.session, placing.of(each)) for each in interventions_of(rack)]
        return {**rack, "rows": placed}

    for control in parts.placing:
        told = control.blur if hasattr(control, "blur") else control.input
        told(place, [parts.rack, *parts.placing], parts.rack, **PLUMBING)

    def problem(event: gr.EventData) -> None:
        toast(str(event._data["text"]))

    for source in (parts.rack, parts.extras):
        source.problem(problem, None, None, **PLUMBING)
    parts.dice.click(
        None,
        None,
        parts.sampling[5],
        js="() => String(Math.floor(Math.random() * 2 ** 31))",
        api_visibility="private",
    )


def with_row(host: Host, rack: Rack, made: Intervention) -> Rack:
    """A rack with one more row at its end.

    Raises:
        SteeringError: The session cannot resolve it.
    """
    return {**rack, "rows": [*rack["rows"], row_of(host.session, made)]}


def _wire_presets(host: Host, parts: Layout) -> None:
    """The gallery, saving, files and links."""
    presets = parts.presets
    outputs = [
        *shown_by(parts),
        presets.gallery,
        presets.picked,
        parts.questions,
        parts.notice,
        parts.pending,
    ]

    def put(preset: Any, values: tuple[Any, ...]) -> dict[Any, Any]:
        try:
            state = shelf.put_on(preset, host, form.read_form(values))
        except shelf.OtherSae as other:
            offer = {"kind": "offer", "text": str(other), "offer": "Load it"}
            if not host.trusted:
                offer = {"kind": "failed", "text": str(other)}
            return {parts.notice: offer, parts.pending: preset.model_dump(mode="json")}
        return {
            **showing(host, parts, state),
            presets.gallery: cards(host.presets, picked=preset.name, writable=host.trusted),
            presets.picked: preset.name,
            parts.questions: questions_of(preset),
            parts.notice: NOTHING,
            parts.pending: None,
        }

    @toasting
    def pick(event: gr.EventData, *values: Any) -> Any:
        return put(shelf.take(str(event._data["name"]), host.presets), values)

    presets.gallery.pick(pick, parts.form, outputs, **PLUMBING)

    @toasting
    def take_file(path: str, *values: Any) -> Any:
        preset, note = shelf.take_file(Path(path), host)
        if note:
            toast(note)
        return put(preset, values)

    presets.upload.upload(take_file, [presets.upload, *parts.form], outputs, **PLUMBING)

    def accept(pending: Any, *values: Any) -> Iterator[dict[Any, Any]]:
        yield {parts.pending: None}
        if pending is None or not host.trusted:
            return
        preset = shelf.checked(pending)
        host.start(shelf.loader_of(preset))
        yield from waiting(host, parts)
        if host.status.phase == "failed":
            return
        yield {parts.badge: badge(host), **put(preset, (made_on(host), *values[1:]))}

    parts.notice.accept(accept, [parts.pending, *parts.form], [*outputs, parts.badge], **PLUMBING)
    parts.notice.decline(lambda: (NOTHING, None), None, [parts.notice, parts.pending], **PLUMBING)

    @toasting
    def remove(event: gr.EventData, picked: str | None) -> Any:
        name = str(event._data["name"])
        shelf.remove(name, host)
        kept = None if picked == name else picked
        return cards(host.presets, picked=kept, writable=host.trusted), kept

    presets.gallery.delete_preset(
        remove, presets.picked, [presets.gallery, presets.picked], **PLUMBING
    )
    _wire_saving(host, parts)


def _wire_saving(host: Host, parts: Layout) -> None:
    presets = parts.presets
    after = [presets.gallery, presets.picked, presets.form]
    inputs = [presets.picked, presets.title, presets.description, parts.sample, *parts.form]

    def saved(name: str) -> list[Any]:
        gr.Info(html.escape(f"Saved as {name!r}."))
        listed = cards(host.presets, picked=name, writable=host.trusted)
        return [listed, name, gr.update(visible=False)]

    @toasting
    def save(picked: Any, _title: str, _about: str, sample: Any, *values: Any) -> Any:
        if picked is None or not shelf.is_own(picked, host):
            return [gr.skip(), gr.skip(), gr.update(visible=True)]
        return saved(shelf.save_again(picked, form.read_form(values), sample, host))

    @toasting
    def save_new(_picked: Any, title: str, about: str, sample: Any, *values: Any) -> Any:
        return saved(shelf.save_new(title, about, form.read_form(values), sample, host))

    presets.save.click(save, inputs, after, **PLUMBING)
    presets.write.click(save_new, inputs, after, **PLUMBING)
    presets.save_as.click(lambda: gr.update(visible=True), None, presets.form, **PLUMBING)

    @toasting
    def download(title: str, sample: Any, *values: Any) -> Any:
        return shelf.as_file(title, form.read_form(values), sample, host)

    for button in (presets.download, parts.exports.download):
        button.click(
            download, [presets.title, parts.sample, *parts.form], parts.wire, **PLUMBING
        ).then(None, parts.wire, None, js="(told) => window.playground.download(told)")

    @toasting
    def link(*values: Any) -> Any:
        return {"link": write_link(form.read_form(values))}

    presets.copy_link.click(link, parts.form, parts.wire, **PLUMBING).then(
        None, parts.wire, None, js="(told) => window.playground.copyLink(told)"
    )


def written_by(parts: Layout) -> list[Any]:
    """The components that a decode writes."""
    return [parts.panes, parts.turns, parts.prompt, parts.sample, parts.wire, parts.linked]


def writing_panes(
    host: Host, parts: Layout, values: tuple[Any, ...], request: gr.Request
) -> Iterator[dict[Any, Any]]:
    """Decode what the form says, and keep the address of the page up with it."""
    try:
        state = reopened(form.read_form(values))
        for view, comparison in generate(host, state, request.session_hash):
            if comparison is None:
                yield {parts.panes: view}
                continue
            done = state
            if state.chat:
                kept = {"turns": turns_with(state, comparison), "prompt": ""}
                done = state.model_copy(update=kept)
            yield {
                parts.panes: view,
                parts.turns: [turn.model_dump() for turn in done.turns],
                parts.prompt: done.prompt,
                parts.sample: sample_of(state, comparison),
                parts.wire: {"address": address_of(done)},
                parts.linked: False,
            }
    except SteeringError as error:
        toast(str(error))
        yield {parts.linked: False}


def address_of(state: PageState) -> str | None:
    """The link of a page, so that a reload loses nothing; None where it does not fit."""
    try:
        return write_link(state)
    except SteeringError:
        return None


def _wire_steering(page: gr.Blocks, host: Host, parts: Layout) -> None:
    """Generate and Stop, turns of a chat, and what ends a decode."""

    def run(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
        yield from writing_panes(host, parts, values, request)

    once = {**PLUMBING, "trigger_mode": "once"}
    ran = gr.on(
        [parts.generate.click, parts.prompt.submit], run, parts.form, written_by(parts), **once
    )
    ran.then(None, parts.wire, None, js="(told) => window.playground.address(told)")

    def stop(request: gr.Request) -> None:
        host.line.stop(request.session_hash)

    parts.stop.click(stop, None, None, **PLUMBING)
    page.unload(stop)

    def back_to(values: tuple[Any, ...], event: gr.EventData) -> list[Any]:
        state, at = form.read_form(values), int(event._data["turn"])
        if not 0 <= at < len(state.turns):
            return [gr.skip()] * 3
        earlier = state.model_copy(update={"turns": state.turns[:at]})
        kept = [turn.model_dump() for turn in earlier.turns]
        return [kept, state.turns[at].user, empty_view(earlier)]

    @toasting
    def edit(event: gr.EventData, *values: Any) -> Any:
        return back_to(values, event)

    chat = [parts.turns, parts.prompt, parts.panes]
    parts.panes.edit_turn(edit, parts.form, chat, **PLUMBING)
    parts.panes.regenerate_turn(edit, parts.form, chat, **PLUMBING).then(
        run, parts.form, written_by(parts), **once
    )
    parts.new_chat.click(lambda: ([], "", empty_view()), None, chat, **PLUMBING)

    def change_mode(mode: str) -> Any:
        shown = gr.update(visible=mode == form.CHAT)
        return shown, shown

    parts.mode.input(change_mode, parts.mode, [parts.system_fold, parts.new_chat], **PLUMBING)

    def choose(event: gr.EventData) -> str:
        return str(event._data["text"])

    parts.questions.choose(choose, None, parts.prompt, **PLUMBING)


def _wire_inspecting(host: Host, parts: Layout) -> None:
    """The heat of a text, and the strongest features of a token."""
    shown = [parts.heatmap, parts.strongest]

    @toasting
    def inspect(text: str, rack: Rack) -> Any:
        return read_text(host, text, interventions_of(rack)), NONE_FOUND

    asked = [parts.text, parts.rack]
    parts.inspect.click(inspect, asked, shown, **PLUMBING)

    def send(event: gr.EventData) -> Any:
        return str(event._data["text"]), gr.update(selected="inspect")

    parts.panes.inspect_pane(send, None, [parts.text, parts.tabs], **PLUMBING).then(
        inspect, asked, shown, **PLUMBING
    )

    @toasting
    def pick_token(event: gr.EventData) -> Any:
        return strongest_at(host, str(event._data["text"]), int(event._data["position"]))

    parts.heatmap.pick_token(pick_token, None, parts.strongest, **PLUMBING)


def _wire_exports(host: Host, parts: Layout) -> None:
    """The page as a command, a script and a request, made when its tab is opened."""
    exports = parts.exports

    @toasting
    def export(request: gr.Request, *values: Any) -> Any:
        state = form.read_form(values)
        address = str(request.request.base_url) if request.request else ""
        return [
            as_command(state, host.session),
            as_script(state, host.session),
            as_curl(state, address),
        ]

    shown = [exports.command, exports.program, exports.curl]
    exports.tab.select(export, parts.form, shown, **PLUMBING)
