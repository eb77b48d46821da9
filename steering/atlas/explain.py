"""Explanations by another language model, each with the score of how well it predicts firing.

As delphi does (Paulo et al. 2024, arXiv:2410.13928): the model sees examples with the firing tokens
in «…» and says what they share; then, knowing the explanation alone, it says which of other
contexts the feature fires in. The score is the balanced accuracy of those answers: 0.5 is chance.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from steering.atlas.cards import Example, examples, partners, samples
from steering.atlas.labels import Label
from steering.atlas.store import Atlas
from steering.atlas.windows import WIDTH

SHOWN = 10
"""Examples that the explanation is made from."""

TESTED = 5
"""Contexts of each kind in the detection test."""

_SILENT = 0.5
"""Of contexts that are taken for silent, the largest share that may not be."""

_HALF = 0.5  # of an example's own maximum: tokens above it are marked
_EXPLAIN = (
    "You study one feature of a language model. You are given texts in which it fires; the tokens "
    "on which it fires strongly stand in «…». Say in at most fifteen words what they have in "
    "common. Answer with the description alone."
)
_DETECT = (
    "A feature of a language model fires on what this describes: {explanation}\n"
    "For each numbered text say whether the feature fires in it. Answer with a JSON list of 0 and "
    "1 alone, one number for each text."
)


@runtime_checkable
class Answerer(Protocol):
    """Whoever can be asked: an endpoint, or a stand-in."""

    @property
    def model(self) -> str:
        """Its name, as labels keep it."""
        ...

    def ask(self, system: str, user: str) -> str:
        """The answer to one question."""
        ...


@dataclass(frozen=True)
class Told:
    """How far explaining has come, and the newest label."""

    done: int
    total: int
    label: Label | None


def explain(
    atlas: Atlas, answerer: Answerer, features: Sequence[int], *, seed: int = 0
) -> Iterator[Told]:
    """A scored explanation for each of some features that has none by this model yet.

    Raises:
        FeatureError: The SAE has no such feature.
        AtlasError: The endpoint fails; labels told so far are the caller's to keep.
    """
    source = source_of(answerer)
    known = _labelled_by(atlas, source)
    waiting = [feature for feature in features if feature not in known]
    for done, feature in enumerate(waiting, start=1):
        yield Told(done, len(waiting), _explained(atlas, answerer, feature, source, seed))


def _labelled_by(atlas: Atlas, source: str) -> set[int]:
    return {f for (f,) in atlas.rows("SELECT feature FROM labels WHERE source = ?", (source,))}


def source_of(answerer: Answerer) -> str:
    """The source of a label by this model."""
    return f"explained by {answerer.model}"


def _explained(
    atlas: Atlas, answerer: Answerer, feature: int, source: str, seed: int
) -> Label | None:
    best = examples(atlas, feature)
    if not best:
        return None
    # Half for each, so that the test is not on the texts that made the explanation.
    made_from = best[::2][:SHOWN]
    told = answerer.ask(_EXPLAIN, _numbered([marked(each) for each in made_from]))
    text = " ".join(told.split()).strip("\"'“” ")
    if not text:
        return None
    chance = random.Random(f"{seed} {feature}")
    seen = {each.row for each in made_from}
    return Label(feature, text, source, _detection(atlas, answerer, feature, text, seen, chance))


def _detection(
    atlas: Atlas,
    answerer: Answerer,
    feature: int,
    explanation: str,
    seen: set[int],
    chance: random.Random,
) -> float | None:
    """Balanced accuracy on contexts that fire it and contexts of other features, shuffled.

    None of them from the rows that were seen; samples of its range may be of those too.
    None for a feature that fires so often that no other context can be taken for silent.
    """
    if _fires_by_chance(atlas, feature) > _SILENT:
        return None
    every = [*examples(atlas, feature), *samples(atlas, feature)]
    rows = {each.row for each in every}
    unseen = [each for each in every if each.row not in seen]
    fires = chance.sample(unseen, min(TESTED, len(unseen)))
    silent = _elsewhere(atlas, feature, rows, chance)
    if not (fires and silent):
        return None
    asked = [(1, each) for each in fires] + [(0, each) for each in silent]
    chance.shuffle(asked)
    texts = _numbered(["".join(each.pieces) for _, each in asked])
    said = _answers(answerer.ask(_DETECT.format(explanation=explanation), texts), len(asked))
    return None if said is None else balanced_accuracy([truth for truth, _ in asked], said)


def _fires_by_chance(atlas: Atlas, feature: int) -> float:
    """How likely it fires somewhere in a context that was not chosen for it."""
    known = atlas.one("SELECT density FROM stats WHERE feature = ?", (feature,))
    return 1 - (1 - (known[0] if known else 0.0)) ** WIDTH


def _elsewhere(atlas: Atlas, feature: int, rows: set[int], chance: random.Random) -> list[Example]:
    """Contexts of features that do not fire beside it, from other rows of the text."""
    near = {feature, *(each.feature for each in partners(atlas, feature))}
    live = [f for (f,) in atlas.rows("SELECT feature FROM stats WHERE fired > 0 ORDER BY feature")]
    others = [f for f in live if f not in near]
    chance.shuffle(others)
    found: list[Example] = []
    for other in others:
        fitting = [each for each in examples(atlas, other) if each.row not in rows]
        if fitting:
            found.append(chance.choice(fitting))
            rows.add(found[-1].row)
        if len(found) == TESTED:
            break
    return found


def marked(example: Example) -> str:
    """An example with the tokens on which the feature fires strongly in «…»."""
    return "".join(
        f"«{piece}»" if act > _HALF * max(example.acts) else piece
        for piece, act in zip(example.pieces, example.acts, strict=True)
    )


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {' '.join(text.split())}" for number, text in enumerate(texts, 1))


def _answers(said: str, count: int) -> list[int] | None:
    """The list of 0 and 1 in an answer, None where there is none of the right length."""
    for found in re.findall(r"\[[^\[\]]*\]", said):
        try:
            numbers = json.loads(found)
        except ValueError:
            continue
        if len(numbers) == count and all(number in (0, 1) for number in numbers):
            return [int(number) for number in numbers]
    return None


def balanced_accuracy(truth: Sequence[int], said: Sequence[int]) -> float:
    """The mean of the shares of firing and of silent contexts that were told rightly."""
    right = [
        [told == real for real, told in zip(truth, said, strict=True) if real == kind]
        for kind in (0, 1)
    ]
    return sum(sum(each) / len(each) for each in right) / 2


def waiting_features(atlas: Atlas, source: str, limit: int | None) -> list[int]:
    """The live features that a source has not labelled, those that fire most first.

    Behind them those that fire so often that detection cannot test them.
    """
    rows = atlas.rows(
        "SELECT feature FROM stats WHERE fired > 0 ORDER BY density > ?, fired DESC, feature",
        (1 - (1 - _SILENT) ** (1 / WIDTH),),
    )
    known = _labelled_by(atlas, source)
    return [feature for (feature,) in rows if feature not in known][:limit]
