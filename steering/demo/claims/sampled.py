"""Claims that are counted in texts: every prompt and seed in every cell, in batched decodes.

The cells: unsteered, steered by the preset, and as controls the same per-token coefficients along a
seeded unit vector and along another live feature. Rows of one prompt and seed share their noise.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from random import Random
from statistics import fmean
from typing import TypeVar

from steering.demo.claims.asked import SAMPLES, Bar, Cell, Check, Kept, Question, SampledClaim
from steering.demo.claims.results import Cell as CellFigures
from steering.demo.claims.results import ClaimResult, Outcome, Sample
from steering.interventions import FeatureControl, Intervention, Message, RandomControl, Sampling
from steering.measure.fluency import repetition, surprise
from steering.measure.rates import Rate, paired_loss
from steering.presets import Preset
from steering.presets.use import pinned
from steering.records import BASELINE, Row
from steering.requests import STEERED, Prompt, RowRequest
from steering.session import Session

SHOWN = 6  # sample pairs kept for the card
CELLS: Mapping[Cell, str] = {
    "unsteered": BASELINE,
    "steered": STEERED,
    "random": "random",
    "feature": "feature",
}
_ROWS_AT_ONCE = 256  # more are no quicker: the keys and values of each step outgrow the caches
_LIVE = 0.001  # share of tokens on which the control's feature fires at least
T = TypeVar("T")
Variants = Mapping[str, Sequence[Intervention]]


def measure_sampled(
    session: Session, claim: SampledClaim, preset: Preset, *, seed: int, samples: int = SAMPLES
) -> ClaimResult:
    """Count one claim's hits in every cell.

    Args:
        session: The bundled model and SAE.
        claim: What is asked, and what counts.
        preset: Whose edits are measured.
        seed: Of the claim: samples, the random direction and the other feature follow from it.
        samples: Texts in each cell.
    """
    started = time.perf_counter()
    edits = pinned(preset, session)
    against = controls(session, edits, seed)
    variants = {STEERED: edits, **against}
    sampling = preset.sampling.model_copy(update={"seed": seed})
    rows = _write(session, claim.question, {BASELINE: (), **variants}, sampling, samples)
    cells = {cell: figures(session, claim.question, rows[name]) for cell, name in CELLS.items()}
    outcomes = [
        _outcome("unsteered", cells["unsteered"].rate, claim.unsteered),
        _outcome("steered", cells["steered"].rate, claim.steered),
    ]
    for check in claim.also:
        outcomes.append(_check(session, check, rows, claim, edits, sampling, samples))
    if claim.kept is not None:
        # As many pairs for each sample as the claim has for its 200.
        n = max(1, claim.kept.n * samples // SAMPLES)
        outcomes.append(_kept(session, claim.kept, edits, sampling, n))
    return ClaimResult(
        name=claim.name,
        study=claim.study,
        measured=claim.measured,
        edits=preset.summary,
        outcomes=tuple(outcomes),
        seconds=time.perf_counter() - started,
        seed=seed,
        preset=preset.name,
        prompts=claim.question.prompts,
        controls=in_words(against),
        cells=cells,
        samples=_pairs(rows, seed),
    )


def controls(session: Session, edits: Sequence[Intervention], seed: int) -> Variants:
    """The same per-token coefficients along a random direction, and along other live features."""
    draw = Random(seed)
    steered = {edit.feature for edit in edits}
    (sae,) = session.saes.values()
    live = [
        index
        for index, facts in sae.facts.items()
        if index not in steered and facts.density is not None and facts.density >= _LIVE
    ]
    others = draw.sample(sorted(live), len(edits))
    return {
        "random": [
            edit.model_copy(update={"control": RandomControl(seed=seed + at)})
            for at, edit in enumerate(edits)
        ],
        "feature": [
            edit.model_copy(update={"control": FeatureControl(feature=other)})
            for edit, other in zip(edits, others, strict=True)
        ],
    }


def in_words(against: Variants) -> str:
    """Such as "random direction, seed 1000; feature 17"."""
    said: list[str] = []
    for edit in (edit for edits in against.values() for edit in edits):
        if isinstance(edit.control, RandomControl):
            said.append(f"random direction, seed {edit.control.seed}")
        elif isinstance(edit.control, FeatureControl):
            said.append(f"feature {edit.control.feature}")
    return "; ".join(said)


def ask(prompt: str) -> tuple[Message, ...]:
    """A prompt as the first words of a chat."""
    return (Message(role="user", content=prompt),)


def _write(
    session: Session, question: Question, variants: Variants, sampling: Sampling, samples: int
) -> dict[str, list[Row]]:
    """Rows by variant: each prompt as often as it takes to reach `samples`, or some just once."""
    prompts = thinned(question.prompts, samples)
    repeats = math.ceil(samples / len(prompts))
    return written(session, prompts, variants, sampling, repeats)


def thinned(asked: Sequence[T], samples: int) -> Sequence[T]:
    """Every so manieth, so that hardly more than the samples are left; all where they are fewer."""
    return asked[:: max(1, len(asked) // samples)]


def written(
    session: Session,
    prompts: Sequence[str],
    variants: Variants,
    sampling: Sampling,
    repeats: int,
    asking: Callable[[str], Prompt] = ask,
) -> dict[str, list[Row]]:
    """Rows by variant, in batched decodes.

    Each prompt and repeat has a seed of its own, which all variants share. Prompts that shared
    noise would all turn out well or ill together, and an interval would be too narrow for them.
    """
    pairs = [
        (prompt, seed)
        for at, prompt in enumerate(prompts)
        for seed in range(sampling.seed + at * repeats, sampling.seed + (at + 1) * repeats)
    ]
    rows: dict[str, list[Row]] = {name: [] for name in variants}
    part = max(1, _ROWS_AT_ONCE // len(variants))
    for start in range(0, len(pairs), part):
        asked = [
            RowRequest(f"{name}, seed {seed}", asking(prompt), edits, seed)
            for prompt, seed in pairs[start : start + part]
            for name, edits in variants.items()
        ]
        stream = session.stream_rows(asked, sampling, allow_inert=True)
        for name, row in zip(cycle(variants), stream.finish().rows, strict=False):
            rows[name].append(row)
    return rows


def figures(session: Session, question: Question, rows: Sequence[Row]) -> CellFigures:
    """How often the rows hit, and how they read."""
    nats = [
        (value, len(row.token_ids)) for value, row in zip(_nats(session, rows), rows, strict=True)
    ]
    counted = [(value, n) for value, n in nats if n]
    tokens = sum(n for _, n in counted)
    return CellFigures(
        rate=count(question, rows),
        surprise=sum(value * n for value, n in counted) / tokens if tokens else math.nan,
        repetition=sum(map(repetition, rows)) / len(rows),
    )


def _nats(session: Session, rows: Sequence[Row]) -> list[float]:
    """The surprise of each row; what was written unsteered is as likely as it was when written."""
    if any(row.interventions for row in rows):
        return surprise(session, rows)
    return [-fmean(row.logprobs) if row.logprobs else math.nan for row in rows]


def count(question: Question, rows: Sequence[Row]) -> Rate:
    """How many answers hit."""
    return Rate(sum(_hits(question, rows)), len(rows))


def _hits(question: Question, rows: Sequence[Row]) -> list[bool]:
    return [question.hit(prompt_of(row), row.text) for row in rows]


def prompt_of(row: Row) -> str:
    """The words that were asked."""
    return row.prompt if isinstance(row.prompt, str) else row.prompt[-1].content


def _check(
    session: Session,
    check: Check,
    rows: Mapping[str, list[Row]],
    claim: SampledClaim,
    edits: Sequence[Intervention],
    sampling: Sampling,
    samples: int,
) -> Outcome:
    if check.question.prompts == claim.question.prompts:
        found = rows[CELLS[check.cell]]
    else:
        name = CELLS[check.cell]
        cell = {BASELINE: (), STEERED: edits}[name]
        found = _write(session, check.question, {name: cell}, sampling, samples)[name]
    return _outcome(check.says, count(check.question, found), check.bar)


def _kept(
    session: Session, kept: Kept, edits: Sequence[Intervention], sampling: Sampling, n: int
) -> Outcome:
    rows = _write(session, kept.question, {BASELINE: (), STEERED: edits}, sampling, n)
    before, after = (_hits(kept.question, rows[name]) for name in (BASELINE, STEERED))
    n = len(before)  # each prompt as often as the others
    loss, low, high = paired_loss(before, after)
    return Outcome(
        says=kept.says,
        value=f"{sum(before) / n:.1%} → {sum(after) / n:.1%}, lost {100 * loss:.1f} points "
        f"[{100 * low:.1f}, {100 * high:.1f}] of n = {n}",
        bar=f"lost < {100 * kept.most:.0f} points",
        met=loss < kept.most,
    )


def _outcome(says: str, rate: Rate, bar: Bar) -> Outcome:
    low, high = rate.interval
    value = f"{rate.share:.1%} [{low:.1%}, {high:.1%}]"
    return Outcome(says, value, str(bar), bar.met(rate.share))


def _pairs(rows: Mapping[str, list[Row]], seed: int) -> tuple[Sample, ...]:
    """Pairs chosen by seed, not by hand."""
    pairs = list(zip(rows[BASELINE], rows[STEERED], strict=True))
    chosen = Random(seed).sample(pairs, min(SHOWN, len(pairs)))
    return tuple(Sample(prompt_of(a), a.seed, a.text, b.text) for a, b in chosen)
