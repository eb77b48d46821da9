"""How well a feature steers: a badge for its output score, and where it stands among the others."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from steering.atlas.store import Atlas

Steerability = Literal["strong", "some", "weak"]

STRONG, SOME = 0.1, 0.01
"""Output scores from which a feature counts as strong, or as steerable at all."""


def steerability(output_score: float | None) -> Steerability | None:
    """The badge for an output score; None where it was not measured."""
    if output_score is None:
        return None
    return "strong" if output_score >= STRONG else "some" if output_score >= SOME else "weak"


@dataclass(frozen=True)
class Standing:
    """Where an output score stands among all the scores of its atlas, as shares of them."""

    top: float
    """Scores at least as high: 0.03 of a feature among the best 3 %."""
    bottom: float
    """Scores at most as high."""


def standing(atlas: Atlas, output_score: float | None) -> Standing | None:
    """Where a feature's output score stands; None where it was not measured."""
    scores = _sorted_scores(atlas)
    if output_score is None or not scores:
        return None
    below, up_to = (cut(scores, output_score) for cut in (bisect_left, bisect_right))
    return Standing(1 - below / len(scores), up_to / len(scores))


_sorted: WeakKeyDictionary[Atlas, tuple[tuple[int, int], list[float]]] = WeakKeyDictionary()


def _sorted_scores(atlas: Atlas) -> list[float]:
    """All scores of an atlas, the lowest first: read once, and again when something was written."""
    # The first tells of other connections' writing, the second of this one's.
    ((others,),) = atlas.rows("PRAGMA data_version")
    ((own,),) = atlas.rows("SELECT total_changes()")
    held = _sorted.get(atlas)
    if held is None or held[0] != (others, own):
        rows = atlas.rows("SELECT output_score FROM scores ORDER BY output_score")
        held = _sorted[atlas] = ((others, own), [score for (score,) in rows])
    return held[1]
