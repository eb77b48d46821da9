"""The gallery of presets: a card each, and what a person does with them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.presets import Listed, Preset, list_presets
from steering.presets.use import About, check_preset, make_preset, pinned
from steering.requests import STEERED
from ui.component import component
from ui.state import PageState, chat_from, prompt_of, reopened

if TYPE_CHECKING:
    from steering.presets import SavedSample
    from steering.session import Session

Cards = dict[str, Any]
EXAMPLE_CHARACTERS = 240
FIRST = "golden-gate"
"""What people come for stands on top."""


def gallery_component(**options: Any) -> gr.HTML:
    """The component that draws the cards."""
    return component("gallery", {"cards": [], "picked": None}, **options)


def cards(folder: Path | None, *, picked: str | None = None, writable: bool = True) -> Cards:
    """Every preset as a card; a broken file says what is wrong with it."""
    listed = sorted(list_presets(folder), key=lambda each: each.name != FIRST)
    return {
        "cards": [_card(each, writable=writable) for each in listed],
        "picked": picked,
    }


def _card(listed: Listed, *, writable: bool) -> dict[str, Any]:
    preset = listed.preset
    card = {"name": listed.name, "own": writable and not listed.packaged}
    if preset is None:
        return {**card, "title": listed.name, "problem": listed.problem}
    example = preset.samples[0].steered if preset.samples else ""
    return {
        **card,
        "title": preset.title,
        "description": preset.description or preset.summary,
        "example": example[:EXAMPLE_CHARACTERS]
        + ("…" if len(example) > EXAMPLE_CHARACTERS else ""),
        "problem": None,
    }


def questions_of(preset: Preset) -> list[str]:
    """A preset's prompts as a person would type them."""
    said = (
        [each] if isinstance(each, str) else [m.content for m in each] for each in preset.prompts
    )
    return [texts[-1] if texts else "" for texts in said]


def state_with(preset: Preset, session: "Session", state: PageState) -> PageState:
    """The page's state with a preset put on it.

    Raises:
        PresetError: It is of another SAE.
    """
    check_preset(preset, session.saes)
    asked: dict[str, object] = {}
    for first in preset.prompts[:1]:
        asked = {"prompt": first, "chat": False} if isinstance(first, str) else chat_from(first)
    kept = {"on": True, "interventions": pinned(preset, session), "sampling": preset.sampling}
    return state.model_copy(update={**kept, **asked})


def preset_of(
    state: PageState, session: "Session", about: About, samples: "Sequence[SavedSample]" = ()
) -> Preset:
    """The page's state as a preset.

    Raises:
        PresetError: Nothing to save, or a name or text that no preset can have.
    """
    asked = reopened(state)
    prompts = [prompt_of(asked, STEERED)] if asked.prompt.strip() else []
    edits, sampling = state.interventions, state.sampling
    return make_preset(session, edits, about, sampling=sampling, prompts=prompts, samples=samples)


def slug_of(title: str) -> str:
    """A file name from a title: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:64].strip("-")
