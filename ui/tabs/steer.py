"""The Steer tab's work: one decode for every pane, told while it goes on."""

import time
from collections.abc import Generator
from typing import Any, NamedTuple

from steering.errors import LoadError, PromptError, SteeringError
from steering.presets import SavedSample
from steering.records import Comparison
from steering.requests import STEERED
from ui.host import Host
from ui.links import require_same_saes, same_saes
from ui.panes import View, Writing, empty_view
from ui.state import PageState, Turn, row_requests

FRAME = 0.1
"""Seconds between two pictures, at least."""
SHARE = 10
"""And this many times what the last one took to hand over, so that the text is not kept waiting."""


class Frame(NamedTuple):
    """What the panes show now; the record comes with the last one."""

    view: View
    comparison: Comparison | None = None


def generate(host: Host, state: PageState, owner: str | None) -> Generator[Frame, None, None]:
    """Write every pane of a page, when its turn comes.

    Args:
        host: Whose session decodes.
        state: What was asked.
        owner: The browser that asked, which may stop it.

    Raises:
        SteeringError: Something that cannot be done as asked; nothing was written.
    """
    if not state.prompt.strip():
        raise PromptError("The prompt is empty. Write at least one word.")
    with host.line.ticket(owner) as ticket:
        for ahead in ticket.waiting():
            status = f"Waiting: {ahead} before you." if ahead > 1 else "Waiting: you are next."
            yield Frame({**empty_view(state), "phase": "queued", "status": status})
        if ticket.stopped:
            yield Frame({**empty_view(state), "status": "Stopped before it began."})
            return
        session = host.session
        require_same_saes(state, session.model.name, marks(host))
        writing = Writing(session, state)
        # An edit that did nothing is the page's red banner, beside what was written.
        stream = session.stream_rows(row_requests(state), state.sampling, allow_inert=True)
        ticket.carry(stream)
        alarm, due = None, 0.0
        try:
            for step in stream:
                for token in step.tokens:
                    writing.hear(token.row, token.text)
                if (now := time.perf_counter()) >= due and not ticket.abandoned:
                    yield Frame(writing.view(stream.comparison, phase="writing"))
                    handed = time.perf_counter()
                    due = handed + max(FRAME, SHARE * (handed - now))
        except SteeringError as error:
            alarm = str(error)
        if not ticket.abandoned:
            # All words at once; what both sides say of them takes a moment more.
            yield Frame(writing.view(stream.comparison, phase="writing"))
            yield _last_frame(writing, stream.comparison, alarm, rate=not ticket.stopped)


def _last_frame(
    writing: Writing, comparison: Comparison, alarm: str | None, *, rate: bool
) -> Frame:
    """The whole record; who pressed Stop does not wait for both sides of every token."""
    from steering.measure.divergence import token_evidence

    own = set(writing.session.warnings)
    inert = [warning for warning in comparison.warnings if warning not in own]
    alarm = alarm or " ".join(inert) or None
    evidence = None
    try:
        evidence = token_evidence(writing.session, comparison) if rate else None
    except SteeringError as error:  # the texts are there all the same
        alarm = alarm or str(error)
    status = (
        "" if writing.state.acting else "No edit is switched on: both sides are the same request."
    )
    return Frame(
        writing.view(comparison, phase="done", status=status, alarm=alarm, evidence=evidence),
        comparison,
    )


def turns_with(state: PageState, comparison: Comparison) -> tuple[Turn, ...]:
    """A chat's turns with the one just written."""
    replies = {row.name: row.text for row in comparison.rows}
    return (*state.turns, Turn(user=state.prompt, replies=replies))


def marks(host: Host) -> dict[str, str]:
    """The fingerprint of each loaded SAE, by alias, as links and pages carry it."""
    return {alias: sae.fingerprint[:16] for alias, sae in host.session.saes.items()}


def made_on(host: Host) -> dict[str, Any]:
    """Which model and SAEs a page's numbers are of."""
    return {"model": host.session.model.name, "saes": marks(host)}


def require_current(host: Host, page: dict[str, Any] | None) -> None:
    """Refuse what is asked from a page of another model or SAE: its numbers mean others here.

    Raises:
        LoadError: Another model was loaded meanwhile.
    """
    if page is not None and not same_saes(page, **made_on(host)):
        raise LoadError(
            f"This page shows {page['model']!r} (SAEs: {', '.join(page['saes']) or 'none'}), and "
            "another model or SAE was loaded since. Reload the page to see that."
        )


def sample_of(state: PageState, comparison: Comparison) -> dict[str, Any] | None:
    """What was written, as a preset keeps it, and by what.

    None where nothing was steered, or where the two sides remember different answers.
    """
    row = next((row for row in comparison.rows if row.name == STEERED), None)
    if row is None or not state.acting or row.prompt_ids != comparison.baseline.prompt_ids:
        return None
    texts = {"baseline": comparison.baseline.text, "steered": row.text}
    prompt = row.prompt if isinstance(row.prompt, str) else [m.model_dump() for m in row.prompt]
    return {"of": _settings(state), "sample": {"prompt": prompt, "seed": row.seed, **texts}}


def sample_for(state: PageState, kept: dict[str, Any] | None) -> tuple[SavedSample, ...]:
    """The sample for a preset; none where a slider was moved since it was written."""
    if kept is None or kept["of"] != _settings(state):
        return ()
    return (SavedSample.model_validate(kept["sample"]),)


def _settings(state: PageState) -> dict[str, Any]:
    return state.model_dump(
        mode="json", include={"model", "saes", "on", "interventions", "sampling"}
    )
