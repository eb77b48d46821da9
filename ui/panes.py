"""What the two panes (and the extra ones) show, read off the record of a decode.

Plain data for one component: the browser draws it and computes nothing.
"""

import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.records import BASELINE, Comparison, Row
from steering.requests import STEERED
from ui.assets import script
from ui.rack import label_of, summary
from ui.state import PageState, Turn, reply_of, row_requests

if TYPE_CHECKING:
    from steering.measure.divergence import TokenEvidence
    from steering.session import Session

View = dict[str, Any]
TITLES = {BASELINE: "Unsteered", STEERED: "Steered"}
STRONG = 1.0
"""||delta|| above the stream's own length: past where fluency ends on most models."""
FINISHES = {
    "eos": "ended",
    "stop": "ended at a stop text",
    "length": "reached the token limit",
    "context": "the context is full",
    "interrupted": "stopped",
}


def empty_view(state: PageState | None = None) -> View:
    """Panes before anything is written."""
    turns = [] if state is None else [_turn(turn) for turn in state.turns]
    chat, blind = (False, False) if state is None else (state.chat, state.blind)
    kept = {"turns": turns, "blind": blind, "chat": chat}
    return {"phase": "idle", "status": "", "panes": [], "banner": None, "run": None, **kept}


def _turn(turn: Turn) -> dict[str, Any]:
    sides = dict.fromkeys([BASELINE, STEERED, *turn.replies])
    replies = {TITLES.get(side, side): reply_of(turn, side) for side in sides}
    return {"user": turn.user, "replies": replies}


def drawn(view: View) -> str:
    """A view as the component's value.

    One string: Gradio compares the values of a stream part by part, and hundreds of tokens in lists
    take it longer than the model takes to write them.
    """
    return json.dumps(view, ensure_ascii=False, separators=(",", ":"))


def panes_component(**options: Any) -> gr.HTML:
    """The component that draws a view."""
    return gr.HTML(
        drawn(empty_view()),
        html_template='<div class="panes-root"></div>',
        js_on_load=script("panes.js"),
        apply_default_css=False,
        elem_id="panes",
        **options,
    )


@dataclass
class Writing:
    """The texts of one decode while they grow: pieces by row, beside the record."""

    session: "Session"
    state: PageState
    pieces: dict[int, list[str]] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    """Tells one decode from the next: ratings are of one."""
    prompts: dict[tuple[int, ...], tuple[str, ...]] = field(default_factory=dict)
    """Spelled once: a view is drawn many times a second."""
    labels: dict[tuple[str | None, int | None], str] = field(default_factory=dict)
    """Looked up once, for the same reason."""

    def __post_init__(self) -> None:
        self.order = list(range(len(row_requests(self.state))))
        if self.state.blind:
            # Not from the request's seed: who presses Generate twice must not learn the order.
            random.SystemRandom().shuffle(self.order)

    def hear(self, row: int, text: str) -> None:
        """Take in what became readable of one row."""
        self.pieces.setdefault(row, []).append(text)

    def view(
        self,
        comparison: Comparison,
        *,
        phase: str,
        status: str = "",
        alarm: str | None = None,
        evidence: "Sequence[Sequence[TokenEvidence]] | None" = None,
    ) -> View:
        """What to show of a record now."""
        rows = comparison.rows
        panes = [
            self._pane(comparison, at, evidence[at] if evidence else (), ended=phase == "done")
            for at in self.order
        ]
        notes = [*comparison.warnings, *(note for row in rows for note in row.liveness.notes)]
        return {
            "phase": phase,
            "status": status,
            "banner": alarm,
            "notes": [] if alarm else list(dict.fromkeys(notes)),
            "run": self.run,
            "blind": self.state.blind,
            "chat": self.state.chat,
            "turns": [_turn(turn) for turn in self.state.turns],
            "prompt": self.state.prompt,
            "panes": panes,
        }

    def _pane(
        self, comparison: Comparison, at: int, evidence: "Sequence[TokenEvidence]", *, ended: bool
    ) -> dict[str, Any]:
        row, pieces = comparison.rows[at], self.pieces.get(at, [])
        steered = set(row.liveness.steered_positions)
        start = len(row.prompt_ids)
        finished = FINISHES[row.finish] if ended or row.finish != "interrupted" else ""
        return {
            "name": row.name,
            "title": TITLES.get(row.name, row.name),
            "tone": row.name if row.name in TITLES else "extra",
            "own": "steered" if row.interventions else "unsteered",
            "summary": self._summary(row),
            "prompt": [[piece, i in steered] for i, piece in enumerate(self._spelled(row))],
            "tokens": [
                [piece, start + i in steered, round(row.logprobs[i], 4)]
                for i, piece in enumerate(pieces)
            ],
            "evidence": [_evidence(each) for each in evidence],
            "parts_at": _parts_at(comparison.baseline, row),
            "status": _status(comparison, row, finished),
            "liveness": _liveness(row),
            "meter": _meter(row),
            "text": row.text,
        }

    def _spelled(self, row: Row) -> tuple[str, ...]:
        if row.prompt_ids not in self.prompts:
            self.prompts[row.prompt_ids] = self.session.model.pieces(row.prompt_ids)
        return self.prompts[row.prompt_ids]

    def _summary(self, row: Row) -> list[str]:
        asked = [item.intervention for item in row.interventions]
        edited = [(item.sae, item.intervention.feature) for item in row.interventions]
        for alias, feature in edited:
            if (alias, feature) not in self.labels:
                self.labels[alias, feature] = label_of(self.session, alias, feature)
        return summary(asked, [self.labels[each] for each in edited])


def _evidence(found: "TokenEvidence") -> dict[str, Any]:
    return {
        "unsteered": found.baseline,
        "steered": found.steered,
        "unsteered_top": [[each.text, each.prob] for each in found.baseline_top],
        "steered_top": [[each.text, each.prob] for each in found.steered_top],
        "kl": found.kl,
    }


def _parts_at(baseline: Row, row: Row) -> int | None:
    """The first token at which a text leaves the unsteered one; None where it does not.

    Behind another prompt there is nothing to leave.
    """
    if row.prompt_ids != baseline.prompt_ids:
        return None
    pairs = zip(baseline.token_ids, row.token_ids, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), None)


def _status(comparison: Comparison, row: Row, finished: str) -> str:
    seconds, count = comparison.timing.seconds, len(row.token_ids)
    rate = f"{count / seconds:.0f} tok/s" if seconds > 0 and count else ""
    return " · ".join(part for part in (f"{count} tok", rate, finished) if part)


def _liveness(row: Row) -> str | None:
    """The evidence that steering was real, in one line."""
    live = row.liveness
    if not row.interventions:
        return None
    said = [f"hook fired {live.hook_calls} times", f"{live.tokens_steered} tokens steered"]
    if live.kl is not None:
        said.append(f"KL {live.kl:.2g} nats at new token {(live.first_difference or 0) + 1}")
    return ", ".join(said)


def _meter(row: Row) -> Mapping[str, Any] | None:
    if not row.interventions:
        return None
    ratio = row.liveness.max_delta_ratio
    return {"ratio": ratio, "strong": STRONG, "warn": ratio > STRONG}
