"""The gallery, saving, files, links, and loading another preset's model."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.presets import Preset
from ui import form, shelf
from ui.gallery import cards, questions_of
from ui.host import Host
from ui.layout import Layout
from ui.tabs.steer import made_on
from ui.toasts import PLUMBING, toast, toasting, toasting_or
from ui.wiring import exploring, inspecting
from ui.wiring.opening import NOTHING, badge, showing, shown_by, waiting
from ui.wiring.rack import NONE_FOUND
from ui.wiring.steering import link_to


def wire(host: Host, parts: Layout) -> None:
    """Everything around the gallery."""
    _wire_picking(host, parts)
    _wire_switching(host, parts)
    _wire_saving(host, parts)
    _wire_taking_along(host, parts)


def _put_by(parts: Layout) -> list[Any]:
    """The components that `_put` writes."""
    presets = parts.presets
    around = [presets.gallery, presets.picked, parts.questions, parts.notice, parts.pending]
    return [*shown_by(parts), *around]


def _put(
    host: Host, parts: Layout, preset: Preset, values: Sequence[Any], *, listed: bool = True
) -> dict[Any, Any]:
    """A preset on the page; or the offer to load the model and SAE that it was made on."""
    try:
        state = shelf.put_on(preset, host, form.read_form(values))
    except shelf.OtherSae as other:
        offer = {"kind": "offer", "text": str(other), "offer": "Load it"}
        if not host.trusted:
            offer = {"kind": "failed", "text": str(other)}
        pending = {"preset": preset.model_dump(mode="json"), "listed": listed}
        return {parts.notice: offer, parts.pending: pending}
    picked = preset.name if listed else None
    return {
        **showing(host, parts, state),
        parts.presets.gallery: cards(host.presets, picked=picked, writable=host.trusted),
        parts.presets.picked: picked,
        parts.questions: questions_of(preset),
        parts.notice: NOTHING,
        parts.pending: None,
    }


def _wire_picking(host: Host, parts: Layout) -> None:
    presets = parts.presets

    @toasting
    def pick(event: gr.EventData, request: gr.Request, *values: Any) -> Any:
        preset = shelf.take(str(event._data["name"]), host.presets)
        host.line.abandon(request.session_hash)
        return _put(host, parts, preset, values)

    presets.gallery.pick(pick, parts.form, _put_by(parts), **PLUMBING)

    @toasting
    def take_file(request: gr.Request, path: str, *values: Any) -> Any:
        preset, note = shelf.take_file(Path(path), host)
        host.line.abandon(request.session_hash)
        if note:
            toast(note)
        return _put(host, parts, preset, values, listed=note is None)

    inputs = [presets.upload, *parts.form]
    presets.upload.upload(take_file, inputs, _put_by(parts), **PLUMBING)

    @toasting
    def remove(event: gr.EventData, picked: str | None) -> Any:
        name = str(event._data["name"])
        shelf.remove(name, host)
        kept = None if picked == name else picked
        return cards(host.presets, picked=kept, writable=host.trusted), kept

    shown = [presets.gallery, presets.picked]
    presets.gallery.delete_preset(remove, presets.picked, shown, **PLUMBING)


def _wire_switching(host: Host, parts: Layout) -> None:
    def accept(pending: Any, *values: Any) -> Iterator[dict[Any, Any]]:
        yield {parts.pending: None}
        if pending is None or not host.trusted:
            return
        try:
            preset = shelf.checked(pending["preset"])
            host.start(shelf.loader_of(preset))
            yield from waiting(host, parts)
            if host.problem is None:
                now = (made_on(host), *values[1:])
                yield {
                    parts.badge: badge(host),
                    # What stands in the other tabs is of the model before.
                    **exploring.anew(host, parts),
                    **inspecting.anew(parts),
                    parts.found: NONE_FOUND,
                    **_put(host, parts, preset, now, listed=pending["listed"]),
                }
        except SteeringError as error:
            yield {parts.notice: {"kind": "failed", "text": str(error)}}

    explore = parts.explore
    outputs = [*_put_by(parts), parts.badge, parts.heatmap, parts.strongest, parts.found]
    outputs += [explore.sae, explore.atlas, explore.way, explore.found, explore.opened]
    parts.notice.accept(accept, [parts.pending, *parts.form], outputs, **PLUMBING)
    parts.notice.decline(lambda: (NOTHING, None), None, [parts.notice, parts.pending], **PLUMBING)


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
        return saved(shelf.save_again(picked, form.current(host, values), sample, host))

    @toasting
    def save_new(_picked: Any, title: str, about: str, sample: Any, *values: Any) -> Any:
        return saved(shelf.save_new(title, about, form.current(host, values), sample, host))

    presets.save.click(save, inputs, after, **PLUMBING)
    presets.write.click(save_new, inputs, after, **PLUMBING)
    presets.save_as.click(lambda: gr.update(visible=True), None, presets.form, **PLUMBING)


def _wire_taking_along(host: Host, parts: Layout) -> None:
    """Files and links; after an error nothing older is taken for what was asked."""
    presets = parts.presets

    @toasting_or(None)
    def download(title: str, sample: Any, *values: Any) -> Any:
        return shelf.as_file(title, form.current(host, values), sample, host)

    inputs = [presets.title, parts.sample, *parts.form]
    for button in (presets.download, parts.exports.download):
        made = button.click(download, inputs, parts.wire, **PLUMBING)
        _tell(made, parts, "download")

    @toasting_or(None)
    def link(*values: Any) -> Any:
        return {"link": link_to(host, form.current(host, values))}

    _tell(presets.copy_link.click(link, parts.form, parts.wire, **PLUMBING), parts, "copyLink")


def _tell(made: Any, parts: Layout, name: str) -> None:
    told = f"(told) => window.playground.{name}(told)"
    made.then(None, parts.wire, None, js=told, api_visibility="private")
