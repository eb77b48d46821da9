"""Stage three, second half: which feature, edited how and how strongly, shows each claim best.

Only text shows which of the candidates steer. Neither the seeds nor the wordings used here are
ever used to measure a claim. What is chosen becomes the claim's preset.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from tqdm import tqdm

from steering.demo.claims.asked import Check, Question, SampledClaim
from steering.demo.claims.sampled import prompt_of, written
from steering.interventions import Edit, Intervention, Positions, Sampling, Schedule
from steering.measure.fluency import repetition, surprise
from steering.records import BASELINE, Row
from steering.session import Session

SAMPLING = Sampling(max_new_tokens=40, temperature=0.4, stop=("Human:", "Assistant:"))
TUNING_SEED = 500_000  # far above those that claims are measured from
_STRENGTHS = (0.6, 1.0, 1.6, 2.5, 4.0, 6.4)
_LESS = (-0.5, -1.0, -1.5, -2.0, -3.0, -4.0)
_TURNED = (-0.5, -1.0, -2.0, -3.0, -4.0)  # times its activation: nothing moves where it is silent
_NEARBY = (0.8, 1.0, 1.25)
_ANSWER = Positions(where="generated")
_FORMS: tuple[tuple[Positions, Schedule, tuple[float, ...]], ...] = (
    (Positions(), Schedule(), (0.8, 1.0, 1.25)),
    (Positions(), Schedule(kind="decay", tokens=8), (0.8, 1.25, 2.0)),
    (Positions(), Schedule(kind="decay", tokens=3), (1.0, 2.0, 3.5)),
    (_ANSWER, Schedule(), (0.8, 1.25, 2.0)),
    (_ANSWER, Schedule(kind="decay", tokens=5), (1.25, 2.0, 3.5)),
    (_ANSWER, Schedule(kind="decay", tokens=2), (2.0, 3.5, 6.0)),
)
"""Where an edit acts and how it wears off, with multiples of the strength that suits one that acts
everywhere and always. What is pushed hard where an answer begins, and then left alone, goes on
fluently."""
_PUSHED = (2.5, 4.0, 6.4, 10.0, 16.0)  # where an answer begins; some features work only at one
_UNSTEERED: dict[str, tuple[Intervention, ...]] = {BASELINE: ()}
_FINALISTS = 4
_MARGIN = 0.15  # above its bar, or half of what is above it: other wordings show less
_SURE = 0.8  # of what may be lost or harmed
_LIKELY = 24  # pairs that are tried again
_SHORT = 3.0  # reaching the bar comes before plain words
_ABOVE = 0.08  # tuning rates a few texts, and the best of many looks better than it is
_SPARED = 0.5  # of what may be harmed, for the same reason
_STRANGE = 0.05  # a little: any answer that is the claim's own surprises the unsteered model
_KEPT_TEXTS = 20  # of what must be kept, for each text of a prompt: a few points are lost in noise
_RATED = 20  # texts whose surprise is read: as many tell as much
_ROWS_AT_ONCE = 1_200
_MIXED = (1.0, 2.0, 3.0)
_WEAKER = (0.7, 1.0)
_MIXED_LESS = (-0.25, -0.5, -1.0)
_MUCH_WEAKER = (0.4, 0.6, 0.8)  # two that both take a name away need little of each
_NEARER = (0.9, 1.0, 1.1)


@dataclass(frozen=True)
class Tried:
    """Edits with what they did on the tuning seeds."""

    edits: tuple[Intervention, ...]
    score: float
    hits: float
    lost: float
    """Share of what the claim has to keep."""
    harms: tuple[float, ...]
    """Share of each of what must not happen beside it."""

    def shows(self, claim: SampledClaim, *, surely: bool = False) -> bool:
        """Whether the claim is kept by its bars, as far as these texts tell.

        Surely asks for a margin above the bar, and leaves a part of what may be lost or harmed.
        """
        share = claim.steered.share
        room = (1 - share if claim.steered.at_least else share) / 2
        margin, part = (min(_MARGIN, room), _SURE) if surely else (0.0, 1.0)
        over = self.hits - share if claim.steered.at_least else share - self.hits
        checks = zip(self.harms, checks_beside(claim), strict=True)
        return (
            claim.steered.met(self.hits)
            and over >= margin
            and (claim.kept is None or self.lost < part * claim.kept.most)
            and all(harm <= part * _spared(check) for harm, check in checks)
        )


def tune(session: Session, claim: SampledClaim, candidates: Sequence[int]) -> Tried:
    """The best single feature, edit, strength and schedule for a claim, by its texts."""
    lowers = not claim.steered.at_least
    first = [
        (edit,)
        for feature in candidates
        for edit in (
            _lowering(feature) if lowers else [*_raising(feature, _STRENGTHS), *_pushing(feature)]
        )
    ]
    ranked = _tried(session, claim, first, samples=1)
    second = list(
        dict.fromkeys(
            variant
            for found in _best_of_each(ranked)[:_FINALISTS]
            for variant in (
                _at_multiples(found.edits, _NEARBY)
                if lowers
                else [found.edits, *_formed(found.edits)]
            )
        )
    )
    ranked = _tried(session, claim, second, samples=1)
    near = list(
        dict.fromkeys(
            variant
            for found in ranked[:_FINALISTS]
            for variant in _at_multiples(found.edits, _NEARER)
        )
    )
    ranked = _tried(session, claim, near, samples=4)
    return _tried(session, claim, [found.edits for found in ranked[:4]], samples=10)[0]


def _best_of_each(ranked: Sequence[Tried]) -> list[Tried]:
    """The best edit of each feature everywhere and in the answer alone, the best first."""
    first: dict[tuple[int | None, str], Tried] = {}
    for found in ranked:
        (edit,) = found.edits
        first.setdefault((edit.feature, edit.positions.where), found)
    return list(first.values())


def with_second_feature(
    session: Session, claim: SampledClaim, found: Tried, candidates: Sequence[int]
) -> Tried:
    """The edits with one more feature, where that shows the claim better."""
    (first,) = found.edits
    raises = claim.steered.at_least
    pairs = [
        (_times(first, by), second)
        for feature in candidates
        if feature != first.feature
        for second in _raising(feature, _MIXED if raises else _MIXED_LESS)
        for by in (_WEAKER if raises else _MUCH_WEAKER)
    ]
    ranked = _tried(session, claim, list(dict.fromkeys(pairs)), samples=1)
    # The best of many by a few texts are the luckiest.
    ranked = _tried(session, claim, [each.edits for each in ranked[:_LIKELY]], samples=3)
    near = [
        tuple(_times(edit, by) for edit, by in zip(each.edits, both, strict=True))
        for each in ranked[:_FINALISTS]
        for both in product(_NEARER, repeat=2)
    ]
    ranked = _tried(session, claim, list(dict.fromkeys(near)), samples=4)
    return _tried(session, claim, [found.edits, *(r.edits for r in ranked[:3])], samples=10)[0]


def _times(edit: Intervention, by: float) -> Intervention:
    """The edit at a multiple of its strength, if it has one."""
    if edit.strength is None:
        return edit
    return edit.model_copy(update={"strength": round(edit.strength * by, 3)})


def _raising(feature: int, strengths: Iterable[float]) -> list[Intervention]:
    return [Intervention(feature=feature, strength=strength) for strength in strengths]


def _lowering(feature: int) -> list[Intervention]:
    edit: Edit = "ablate"
    turned = (Intervention(feature=feature, edit="scale", strength=by) for by in _TURNED)
    return [Intervention(feature=feature, edit=edit), *_raising(feature, _LESS), *turned]


def _pushing(feature: int) -> list[Intervention]:
    """Hard where an answer begins, and then let go."""
    wearing_off = Schedule(kind="decay", tokens=3)
    return [
        Intervention(feature=feature, strength=by, positions=_ANSWER, schedule=wearing_off)
        for by in _PUSHED
    ]


def _formed(edits: tuple[Intervention, ...]) -> list[tuple[Intervention, ...]]:
    """The edits in every form, at strengths about those that do as much in it.

    What was pushed where an answer begins is as strong as the form that is nearest to it needs.
    """
    (edit,) = edits
    by = 1 / 2.5 if edit.positions == _ANSWER else 1.0
    return [
        (_times(edit, by * much).model_copy(update={"positions": where, "schedule": how}),)
        for where, how, multiples in _FORMS
        for much in multiples
    ]


def _at_multiples(
    edits: tuple[Intervention, ...], multiples: Iterable[float]
) -> list[tuple[Intervention, ...]]:
    return [tuple(_times(edit, by) for edit in edits) for by in multiples]


def _tried(
    session: Session,
    claim: SampledClaim,
    variants: Sequence[tuple[Intervention, ...]],
    samples: int,
) -> list[Tried]:
    """Every variant with its score, the best first."""
    rows = _texts(session, claim.question, _UNSTEERED | _numbered(variants), samples)
    usual = _mean(surprise(session, rows[BASELINE]))
    checks = checks_beside(claim)
    harmed = _harms(session, checks, variants, samples)
    kept = _kept(session, claim, variants, samples)
    found = []
    for at, edits in enumerate(variants):
        texts = rows[str(at)]
        hits = sum(claim.question.hit(prompt_of(r), r.text) for r in texts) / len(texts)
        score = hits if claim.steered.at_least else 1 - hits
        bar = claim.steered.share if claim.steered.at_least else 1 - claim.steered.share
        score -= _SHORT * max(0.0, bar + _ABOVE - score)
        rated = texts[:: max(1, len(texts) // _RATED)]
        score -= _STRANGE * max(0.0, _mean(surprise(session, rated)) / usual - 2)
        score -= 0.3 * sum(map(repetition, texts)) / len(texts)
        harms = harmed[at]
        score -= sum(harms) + 2 * max(0.0, kept[at] - 0.02)
        for harm, check in zip(harms, checks, strict=True):
            score -= _SHORT * max(0.0, harm - _SPARED * _spared(check))
        if claim.kept is not None:
            score -= _SHORT * max(0.0, kept[at] - claim.kept.most)
        found.append(Tried(edits, score, hits, kept[at], harms))
    return sorted(found, key=lambda tried: -tried.score)


def checks_beside(claim: SampledClaim) -> list[Check]:
    """What must not happen in the steered texts of other prompts."""
    return [check for check in claim.also if check.cell == "steered"]


def _kept(
    session: Session,
    claim: SampledClaim,
    variants: Sequence[tuple[Intervention, ...]],
    samples: int,
) -> list[float]:
    """How much of what must be kept each variant loses."""
    if claim.kept is None:
        return [0.0] * len(variants)
    every, texts = claim.kept.question, _KEPT_TEXTS * samples
    step = max(1, len(every.prompts) // texts)
    some = Question(every.prompts[::step], every.patterns[::step])
    edits = _UNSTEERED | _numbered(variants)
    rows = _texts(session, some, edits, max(1, texts // len(every.prompts)))
    shares = {
        name: sum(some.hit(prompt_of(row), row.text) for row in found) / len(found)
        for name, found in rows.items()
    }
    return [shares[BASELINE] - shares[str(at)] for at in range(len(variants))]


def _spared(check: Check) -> float:
    """What share of the texts may be harmed."""
    return 1 - check.bar.share if check.bar.at_least else check.bar.share


def _harms(
    session: Session,
    checks: Sequence[Check],
    variants: Sequence[tuple[Intervention, ...]],
    samples: int,
) -> list[tuple[float, ...]]:
    """For each variant, the share of texts that each check finds harmed."""
    asked = {check.question.prompts: check.question for check in checks}  # once, if shared
    texts = {
        prompts: _texts(session, question, _numbered(variants), samples)
        for prompts, question in asked.items()
    }

    def harm(check: Check, at: int) -> float:
        rows = texts[check.question.prompts][str(at)]
        hits = sum(check.question.hit(prompt_of(row), row.text) for row in rows) / len(rows)
        return 1 - hits if check.bar.at_least else hits

    return [tuple(harm(check, at) for check in checks) for at in range(len(variants))]


def _texts(
    session: Session,
    question: Question,
    variants: Mapping[str, tuple[Intervention, ...]],
    samples: int,
) -> Mapping[str, list[Row]]:
    """Rows by the variant's name, written in parts: each row reads every feature of its part."""
    each = len(question.prompts) * samples
    part = max(1, _ROWS_AT_ONCE // each)
    names = list(variants)
    rows: dict[str, list[Row]] = {}
    sampling = SAMPLING.model_copy(update={"seed": TUNING_SEED})
    for start in tqdm(range(0, len(names), part), desc="Tuning", leave=False):
        named = {name: variants[name] for name in names[start : start + part]}
        rows |= written(session, question.prompts, named, sampling, samples)
    return rows


def _numbered(
    variants: Sequence[tuple[Intervention, ...]],
) -> dict[str, tuple[Intervention, ...]]:
    return {str(at): edits for at, edits in enumerate(variants)}


def _mean(values: Sequence[float]) -> float:
    real = [value for value in values if value == value]
    return sum(real) / len(real) if real else 0.0
