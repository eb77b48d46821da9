"""One feature at five strengths beside the unsteered text: tiny outputs from one batched decode."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from steering.errors import FeatureError, PromptError
from steering.interventions import Intervention, Sampling
from steering.records import BASELINE, Comparison
from steering.requests import Prompt
from ui.explore.table import amount_of
from ui.host import Host

if TYPE_CHECKING:
    from steering.session import Session

Trial = dict[str, Any]
EMPTY: Trial = {"feature": None}
STRENGTHS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Clamped, as shares of the median residual norm: from hardly felt to past where fluency ends. A
norm is known for every feature, a maximum not."""
TOKENS = 24
SAID = "What are you thinking about?"
BEGUN = "I think that"


def trial_of(host: Host, alias: str, feature: int) -> Trial:
    """Before anything is tried."""
    suggested = SAID if host.session.model.has_chat_template else BEGUN
    return {
        "sae": alias,
        "feature": feature,
        "suggested": suggested,
        "phase": "idle",
        "status": "",
        "cells": [],
    }


def edits(session: "Session", alias: str, feature: int) -> list[Intervention]:
    """The feature at each of the strengths.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    named = alias if len(session.saes) > 1 else None
    made = [Intervention(feature=feature, sae=named, strength=s, unit="norm") for s in STRENGTHS]
    for each in made:
        session.resolve(each)
    return made


def attempt(host: Host, alias: str, feature: int, text: str, owner: str | None) -> Iterator[Trial]:
    """Write on a text at every strength, in one batch, when its turn comes.

    Raises:
        PromptError: The text is empty or too long.
        SteeringError: Anything else that cannot be done as asked.
    """
    if not text.strip():
        raise PromptError("There is nothing to write on. Write at least one word.")
    if host.session.saes.get(alias) is None:
        raise FeatureError(f"No SAE is loaded as {alias!r}. Reload the page.")
    blank = trial_of(host, alias, feature)
    with host.line.ticket(owner) as ticket:
        for ahead in ticket.waiting():
            yield {**blank, "phase": "writing", "status": f"Waiting: {ahead} before you."}
        if ticket.stopped:
            yield {**blank, "status": "Stopped before it began."}
            return
        asked = edits(host.session, alias, feature)
        yield {**blank, "phase": "writing", "status": "Writing …"}
        # What an edit that did nothing comes to is said beside the texts.
        stream = host.session.stream(
            _prompt(host, text),
            {amount_of(each): [each] for each in asked},
            Sampling(max_new_tokens=TOKENS),
            allow_inert=True,
        )
        ticket.carry(stream)
        for _ in stream:
            pass
        yield {**blank, "phase": "done", **_written(host, stream.comparison, asked)}


def _prompt(host: Host, text: str) -> Prompt:
    """What a chat model is asked, or what another one goes on from."""
    if host.session.model.has_chat_template:
        return [{"role": "user", "content": text}]
    return text


def _written(host: Host, comparison: Comparison, asked: list[Intervention]) -> dict[str, Any]:
    own = set(host.session.warnings)
    edited = [None, *(each.model_dump(mode="json") for each in asked)]
    return {
        "status": " ".join(each for each in comparison.warnings if each not in own),
        "cells": [
            {
                "title": "unsteered" if row.name == BASELINE else row.name,
                "text": row.text,
                "ratio": None if edit is None else round(row.liveness.max_delta_ratio, 2),
                "intervention": edit,
            }
            for row, edit in zip(comparison.rows, edited, strict=True)
        ],
    }
