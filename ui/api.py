"""The page's named endpoints, for programs: compare, inspect, presets."""

import time
from collections.abc import Generator, Iterator
from typing import Any

import gradio as gr
from gradio.events import api as endpoint
from pydantic import ValidationError

from steering.errors import FeatureError, PromptError, SteeringError
from steering.interventions import Sampling
from steering.invalid import explain_invalid
from steering.presets import list_presets
from ui.host import Host
from ui.rack import read_intervention, refuse_files
from ui.state import MOST_ROWS
from ui.tabs.steer import FRAME


def compare(
    host: Host, prompt: Any, interventions: list[Any], sampling: Any, owner: str | None
) -> Generator[dict[str, Any], None, None]:
    """The record of a decode while it grows; the last one is whole.

    Args:
        host: Whose session decodes.
        prompt: A text, or a list of chat messages.
        interventions: As presets store them.
        sampling: As presets store it; `{}` for the defaults.
        owner: Who asks, and may go away.

    Raises:
        SteeringError: Something that cannot be done as asked, or an edit that did nothing.
    """
    _require_prompt(prompt)
    edits = [read_intervention(each) for each in _few(interventions)]
    if not host.trusted:
        refuse_files(edits)
    try:
        how = Sampling.model_validate(sampling or {})
    except ValidationError as error:
        problem = explain_invalid(error, Sampling)
        raise SteeringError(f"Cannot sample like that: {problem}. Correct it.") from error
    with host.line.ticket(owner) as ticket:
        for _ in ticket.waiting():
            yield {"waiting": True}
        stream = host.session.stream(prompt, edits, how)
        ticket.carry(stream)
        shown = time.perf_counter()
        for _ in stream:
            if time.perf_counter() - shown >= FRAME:
                yield stream.comparison.to_dict()
                shown = time.perf_counter()
        yield stream.comparison.to_dict()


def _require_prompt(prompt: object) -> None:
    """Raise unless a program sent a text, or a list of what may be messages."""
    chat = isinstance(prompt, list) and all(isinstance(each, dict) for each in prompt)
    if not isinstance(prompt, str) and not chat:
        raise PromptError(
            f"The prompt is {prompt!r:.60}. Send a text, or a list of chat messages such as "
            '[{"role": "user", "content": "hi"}].'
        )


def inspect(host: Host, text: str, features: list[Any]) -> dict[str, Any]:
    """How strongly features fire on each token of a text, unsteered.

    Args:
        host: Whose session reads.
        text: What to read.
        features: Numbers, or pairs of an SAE's alias and a number.

    Raises:
        SteeringError: An empty or too long text, or no such feature.
    """
    return host.session.read(text, [_named(each) for each in _few(features)]).to_dict()


def _few(asked: list[Any]) -> list[Any]:
    if len(asked) > MOST_ROWS:
        raise FeatureError(f"{len(asked)} features were asked for. Ask for up to {MOST_ROWS}.")
    return asked


def _named(feature: object) -> tuple[str | None, int]:
    match feature:
        case int():
            return None, feature
        case [str() | None as alias, int() as index]:
            return alias, index
    raise FeatureError(
        f"Cannot read the feature {feature!r:.60}. Send its number, or an alias and a number."
    )


def presets(host: Host) -> list[dict[str, Any]]:
    """Every preset that can be read, as its file holds it."""
    found = list_presets(host.presets)
    return [each.preset.model_dump(mode="json") for each in found if each.preset is not None]


def publish(host: Host) -> None:
    """Give the endpoints of the page being built their names."""

    def compare_(
        prompt: Any, interventions: list, sampling: dict, request: gr.Request
    ) -> Iterator[dict]:
        try:
            yield from compare(host, prompt, interventions, sampling, request.session_hash)
        except SteeringError as error:
            raise gr.Error(str(error)) from error

    def inspect_(text: str, features: list) -> dict:
        try:
            return inspect(host, text, features)
        except SteeringError as error:
            raise gr.Error(str(error)) from error

    def presets_() -> list:
        return presets(host)

    endpoint(compare_, api_name="compare", concurrency_limit=None)
    endpoint(inspect_, api_name="inspect", concurrency_limit=None)
    endpoint(presets_, api_name="presets", concurrency_limit=None)
