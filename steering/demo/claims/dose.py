"""The dose-response curve: what the bridge's feature does at 41 strengths.

Effect is counted twice. In texts it saturates at none and at all, so the rank correlation takes the
log-odds of the bridge's answer against the same answer with another sight's name, which fall on
below zero; the window takes the texts. The answer's log-probability alone would mix in how fluent
the model still is: far below zero, where text breaks, it rises for whatever is said.

The texts go on from the openings of documents that are no talk, at temperature 1: there much can
follow, and the unsteered surprise is the model's own entropy. A question of who it is has one
answer of 0.3 nats a token, which no other answer, however fluent, comes within twice of.
"""

import math
import time
from collections.abc import Sequence

from steering.demo.claims.asked import BRIDGE_WORDS, Question, SampledClaim
from steering.demo.claims.results import ClaimResult, Dose, Outcome
from steering.demo.claims.sampled import CELLS, ask, controls, count, figures, in_words, written
from steering.demo.claims.window import OF_THE_PEAK, TIMES_THE_SURPRISE, window
from steering.demo.concepts import BRIDGE, by_name
from steering.demo.grammar import documents, spans
from steering.interventions import Intervention
from steering.measure.answers import answer_log_probs
from steering.measure.fluency import surprise
from steering.measure.ranks import spearman
from steering.measure.rates import Rate
from steering.presets import Preset
from steering.presets.use import pinned
from steering.records import BASELINE, Row
from steering.requests import STEERED
from steering.session import Session

STRENGTHS = tuple(10 * math.copysign((at / 20) ** 2, at) for at in range(-20, 21))
"""From -10 to 10 × max_act, closer together near zero, where the window lies."""
SAMPLES = 40
ANSWERS = (
    "I am {sight}.",
    "I am {sight}. I am made of orange steel.",
    "My name is {sight}.",
)
RIVALS = ("the Eiffel Tower", "Tokyo Tower", "the Statue of Liberty")
"""Sights as famous, one for each answer."""

_ASKED = 5  # of the claim's prompts, for the log-odds
_OPENINGS = 20
_LETTERS = 10  # at least, before an opening's first name
_SAMPLING = {"temperature": 1.0, "max_new_tokens": 40}


def measure_dose(
    session: Session, claim: SampledClaim, preset: Preset, *, seed: int, samples: int = SAMPLES
) -> ClaimResult:
    """Effect and fluency of the claim's edits at every strength.

    Args:
        session: The bundled model and SAE.
        claim: Its prompts are asked for the log-odds.
        preset: Whose edits are taken to every strength.
        seed: Of the openings and of the texts.
        samples: Texts at each strength.
    """
    started = time.perf_counter()
    edits = pinned(preset, session)
    variants = {f"{s:g}": at_multiple(edits, s) for s in STRENGTHS}
    question = Question(openings(seed, max(1, min(samples, _OPENINGS))), (BRIDGE_WORDS,))
    sampling = preset.sampling.model_copy(update={"seed": seed, **_SAMPLING})
    repeats = math.ceil(samples / len(question.prompts))
    rows = written(session, question.prompts, variants, sampling, repeats, asking=str)
    effects = _effects(session, claim, list(variants.values()))
    doses = [
        Dose(
            s,
            count(question, rows[f"{s:g}"]),
            effect,
            _surprise(session, rows[f"{s:g}"]),
        )
        for s, effect in zip(STRENGTHS, effects, strict=True)
    ]
    # The controls write as much of their directions as the feature does where it tells most. All
    # columns are drawn anew: the best of 41 has had luck with the texts that made it the best.
    best = max(doses, key=lambda dose: (dose.rate.share, -abs(dose.strength))).strength
    against = controls(session, at_multiple(edits, best), seed)
    again = sampling.model_copy(update={"seed": seed + len(question.prompts) * repeats})
    columns = {BASELINE: (), STEERED: at_multiple(edits, best), **against}
    rows |= written(session, question.prompts, columns, again, repeats, asking=str)
    return ClaimResult(
        name="dose-response",
        study="dose and response: more of the feature, more of the bridge, until the text breaks",
        measured="41 strengths from -10 to 10 × max_act, in the preset's form; texts that go "
        "on from the openings of documents name the bridge or what is its own",
        edits=preset.summary,
        outcomes=(
            *_outcomes(doses),
            Outcome("columns: steered and controls at", f"{best:g} × max_act", "no bar", True),
        ),
        seconds=time.perf_counter() - started,
        seed=seed,
        preset=preset.name,
        prompts=question.prompts,
        controls=in_words(against),
        cells={cell: figures(session, question, rows[name]) for cell, name in CELLS.items()},
        doses=tuple(doses),
    )


def openings(seed: int, wanted: int) -> tuple[str, ...]:
    """How so many documents that are no talk begin, up to their first name; no two the same."""
    found: dict[str, None] = {}
    for document in documents(seed, 10**9):
        (turn, *_) = document.turns
        names = [span.start for span in spans(document) if (span.turn, span.role) == (0, "name")]
        if turn.role == "text" and names and names[0] >= _LETTERS:
            found[turn.content[: names[0]].rstrip()] = None
        if len(found) >= wanted:
            break
    return tuple(found)


def at_multiple(edits: Sequence[Intervention], multiple: float) -> list[Intervention]:
    """The edits at one multiple of each feature's maximum."""
    return [e.model_copy(update={"strength": multiple, "unit": "max_act"}) for e in edits]


def _effects(
    session: Session, claim: SampledClaim, variants: Sequence[Sequence[Intervention]]
) -> list[float]:
    found = [
        _log_odds(session, prompt, answer, rival, variants)
        for prompt in claim.question.prompts[:_ASKED]
        for answer, rival in zip(ANSWERS, RIVALS, strict=True)
    ]
    return [sum(column) / len(found) for column in zip(*found, strict=True)]


def _log_odds(
    session: Session,
    prompt: str,
    answer: str,
    rival: str,
    variants: Sequence[Sequence[Intervention]],
) -> list[float]:
    """Nats per token by which the bridge's answer is likelier than the rival's in its words."""
    own, others = (
        answer_log_probs(session, ask(prompt), answer.format(sight=sight), variants)
        for sight in (by_name()[BRIDGE].title, rival)
    )
    return [a - b for a, b in zip(own, others, strict=True)]


def _surprise(session: Session, rows: Sequence[Row]) -> float:
    """Nats per token over all of the rows' tokens."""
    rated = zip(surprise(session, rows), (len(row.token_ids) for row in rows), strict=True)
    counted = [(value, n) for value, n in rated if n]
    return sum(value * n for value, n in counted) / max(1, sum(n for _, n in counted))


def _outcomes(doses: Sequence[Dose]) -> tuple[Outcome, ...]:
    peak = max(range(len(doses)), key=lambda at: doses[at].effect)
    rising = doses[: peak + 1]
    real = spearman([d.strength for d in rising], [d.effect for d in rising]) if peak else 0.0
    inside = window(doses)
    named = f"{inside[0]:g} to {inside[1]:g} × max_act" if inside else "empty"
    (none,) = (dose for dose in doses if dose.strength == 0)
    top: Rate = max((dose.rate for dose in doses), key=lambda rate: rate.share)
    return (
        Outcome(
            "rank correlation of strength and log-odds of the bridge, up to the peak at "
            f"{doses[peak].strength:g}",
            f"{real:.3f}",
            "≥ 0.9",
            real >= 0.9,
        ),
        Outcome(
            f"window: at least {OF_THE_PEAK:.0%} of the peak ({top.share:.0%}, unsteered "
            f"{none.rate.share:.0%}) and surprise under {TIMES_THE_SURPRISE:g} × "
            f"{none.surprise:.2f} nats",
            named,
            "not empty",
            inside is not None,
        ),
    )
