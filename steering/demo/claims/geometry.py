"""Claims about where features lie: the bridge's neighbourhood, and inner conflict's two regions.

Decoder directions of the live features, each with the concept that it reads best.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from steering.demo.claims.results import ClaimResult, MapPoint, Neighbour, Outcome
from steering.demo.concepts import BRIDGE, Concept, by_name, tree_distance
from steering.measure.ranks import permutation_p, separation, shuffled_spearman, spearman
from steering.sae import Sae

GOOD_F1 = 0.5
NEAREST = 10
_SIDES = {
    ("balance", "trade-offs"): True,
    ("balance", "legal conflict"): True,
    ("unrest", "reluctance"): False,
    ("unrest", "guilt"): False,
}


@dataclass(frozen=True)
class Labelled:
    """A live feature and the concept that its firing tells best."""

    feature: int
    concept: Concept
    f1: float


def labelled(sae: Sae) -> list[Labelled]:
    """Every live feature whose reading label is a concept of the tree."""
    return [
        Labelled(index, by_name()[facts.reading], facts.reading_f1)
        for index, facts in sorted(sae.facts.items())
        if facts.reading is not None and facts.reading_f1 is not None
        if facts.reading in by_name()
    ]


def measure_neighbourhood(sae: Sae, steered: int, *, seed: int) -> ClaimResult:
    """What lies near the features that read the bridge, and whether nearness follows the tree.

    An SAE splits the bridge into several features, such as one for its name's words and one for
    talks about it, so nearness is the mean cosine with all of them; the best reader alone is told
    beside it. Only features that tell their concept, the bridge's own left out: every feature has a
    concept that it tells best, and most of those near one that writes tell it by chance.

    Args:
        sae: Whose decoders.
        steered: The feature that the bridge's preset steers, told beside it: features that read are
            not those that write (Arad et al. 2025).
        seed: Of the shuffles.
    """
    started = time.perf_counter()
    readers = readers_of_the_bridge(sae)
    ranked = _ranked(sae, [each.feature for each in readers])
    around_best = _ranked(sae, [each.feature for each in readers[:1]])
    nearest, around_steered = ranked[:NEAREST], _ranked(sae, [steered])[:NEAREST]
    return ClaimResult(
        name="neighbourhood",
        seed=seed,
        study="near the bridge lie its city, its state, and sights elsewhere",
        measured=f"the {NEAREST} decoders nearest to those that read the bridge, by mean cosine, "
        f"all of F1 at least {GOOD_F1}; cosine against the steps up the tree to the node of both",
        edits="",
        outcomes=(
            Outcome(
                "the features that read it",
                ", ".join(f"{each.feature} (F1 {each.f1:.2f})" for each in readers) or "none",
                f"F1 ≥ {GOOD_F1}",
                bool(readers),
            ),
            Outcome(
                f"of the {NEAREST} nearest, in the region",
                _told(nearest),
                "≥ 6",
                _in_region(nearest) >= 6,
            ),
            *_follows_the_tree(ranked, seed),
            Outcome(
                "around the best reader alone",
                f"{_told(around_best[:NEAREST])}, correlation {_correlation(around_best):.2f}",
                "no bar",
                True,
            ),
            Outcome(
                f"around the feature that its preset steers ({steered})",
                _told(around_steered),
                "no bar",
                True,
            ),
        ),
        seconds=time.perf_counter() - started,
        neighbours=tuple(_neighbour(each, cosine) for each, cosine in nearest),
        points=_map(sae, [each for each, _ in ranked], lambda each: each.concept.path[0]),
    )


def _follows_the_tree(ranked: list[tuple[Labelled, float]], seed: int) -> list[Outcome]:
    """Whether decoders nearer to the bridge's are of concepts nearer to it in the tree."""
    real = _correlation(ranked)
    enough = len(ranked) > 1
    chance = shuffled_spearman(*_against_the_tree(ranked), seed=seed) if enough else math.nan
    return [
        Outcome(
            f"rank correlation of cosine and nearness in the tree, {len(ranked)} features",
            f"{real:.2f}",
            "≥ 0.5",
            real >= 0.5,
        ),
        Outcome(
            "the same above 95 % of shuffles",
            f"{real:.2f} against {chance:.2f}",
            "above",
            real > chance,
        ),
    ]


def readers_of_the_bridge(sae: Sae) -> list[Labelled]:
    """The features whose firing tells the bridge, the best first."""
    own = [each for each in labelled(sae) if each.concept.name == BRIDGE and each.f1 >= GOOD_F1]
    return sorted(own, key=lambda each: -each.f1)


def neighbours(sae: Sae) -> list[Neighbour]:
    """The features nearest to those that read the bridge, the nearest first."""
    readers = [each.feature for each in readers_of_the_bridge(sae)]
    return [_neighbour(each, cosine) for each, cosine in _ranked(sae, readers)[:NEAREST]]


def _ranked(sae: Sae, features: Sequence[int]) -> list[tuple[Labelled, float]]:
    """Every feature that tells a concept other than the bridge, the nearest to some first."""
    if not features:
        return []
    known = [e for e in labelled(sae) if e.f1 >= GOOD_F1 and e.concept.name != BRIDGE]
    cosines = _cosines(sae, features, known)
    return sorted(zip(known, cosines, strict=True), key=lambda pair: -pair[1])


def _in_region(nearest: list[tuple[Labelled, float]]) -> int:
    return sum(_place(each.concept) != "elsewhere" for each, _ in nearest)


def _told(nearest: list[tuple[Labelled, float]]) -> str:
    counts = Counter(_place(each.concept) for each, _ in nearest)
    places = ", ".join(f"{count} {place}" for place, count in counts.items())
    return f"{_in_region(nearest)} ({places or 'none'})"


def _correlation(ranked: list[tuple[Labelled, float]]) -> float:
    """The rank correlation of cosine with nearness in the tree; nan of fewer than two features."""
    return spearman(*_against_the_tree(ranked)) if len(ranked) > 1 else math.nan


def _against_the_tree(ranked: list[tuple[Labelled, float]]) -> tuple[list[float], list[float]]:
    """The cosine of each, and how near its concept is to the bridge in the tree."""
    bridge = by_name()[BRIDGE]
    nearness = [-float(tree_distance(bridge, each.concept)) for each, _ in ranked]
    return [cosine for _, cosine in ranked], nearness


def measure_inner_conflict(sae: Sae, *, seed: int) -> ClaimResult:
    """Trade-off and legal features against reluctance and guilt: nearer within than across."""
    started = time.perf_counter()
    # Every concept has a best feature; where an SAE gave it none of its own, that is one of
    # something else and lies somewhere else.
    found = [(each, of) for each, of in conflict_sides(sae) if each.f1 >= GOOD_F1]
    chosen = [each for each, _ in found]
    side = np.array([of for _, of in found], dtype=bool)
    balance, unrest = int(side.sum()), int((~side).sum())
    enough = min(balance, unrest) >= 6
    outcomes = [Outcome("features a side", f"{balance} and {unrest}", "≥ 6 each", enough)]
    if min(balance, unrest) >= 2:
        rows = sae.directions([each.feature for each in chosen])
        similarity = (rows @ rows.T).double().numpy()
        p = permutation_p(similarity, side, seed=seed)
        apart = separation(similarity, side)
        outcomes.append(
            Outcome(
                "cosine within less across, permutation test",
                f"{apart:+.3f}, p = {p:.4f}",
                "p < 0.01",
                apart > 0 and p < 0.01,
            )
        )
    return ClaimResult(
        name="inner-conflict",
        seed=seed,
        study="inner conflict: trade-offs and legal conflict here, reluctance and guilt there",
        measured=f"cosines of decoders within the two sides and across, features of F1 at least "
        f"{GOOD_F1}",
        edits="",
        outcomes=tuple(outcomes),
        seconds=time.perf_counter() - started,
        points=_map(sae, chosen, lambda each: ": ".join(each.concept.path[1:3])),
    )


def conflict_sides(sae: Sae) -> list[tuple[Labelled, bool]]:
    """The best feature of each concept of inner conflict, and whether it lies on the side of
    trade-offs and law (or on that of reluctance and guilt)."""
    best: dict[str, tuple[Labelled, bool]] = {}
    for each in labelled(sae):
        side = _SIDES.get(each.concept.path[1:3]) if len(each.concept.path) > 2 else None
        held = best.get(each.concept.name)
        if side is not None and (held is None or held[0].f1 < each.f1):
            best[each.concept.name] = each, side
    return list(best.values())


def _cosines(sae: Sae, features: Sequence[int], others: list[Labelled]) -> list[float]:
    """The mean cosine of each with some features."""
    rows = sae.directions([*features, *(each.feature for each in others)])
    own, known = rows[: len(features)], rows[len(features) :]
    return (known @ own.mean(0)).tolist()


def _neighbour(each: Labelled, cosine: float) -> Neighbour:
    return Neighbour(
        feature=each.feature,
        label=each.concept.name,
        place=_place(each.concept),
        cosine=cosine,
        distance=tree_distance(by_name()[BRIDGE], each.concept),
    )


def _place(concept: Concept) -> str:
    """Where a concept lies, seen from the bridge: its city, its state, or elsewhere."""
    bridge = by_name()[BRIDGE]
    way = (*concept.path, concept.name)
    if bridge.path[-1] in way:
        return bridge.path[-1]
    return bridge.path[-2] if bridge.path[-2] in way else "elsewhere"


def _map(
    sae: Sae, chosen: list[Labelled], branch: Callable[[Labelled], str]
) -> tuple[MapPoint, ...]:
    """The chosen decoders on their first two principal components, each of some branch."""
    if len(chosen) < 3:
        return ()
    rows = sae.directions([each.feature for each in chosen])
    centred: Float[Tensor, "feature width"] = rows - rows.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    places = centred @ axes[:2].T
    return tuple(
        MapPoint(each.feature, x, y, each.concept.name, branch(each))
        for each, (x, y) in zip(chosen, places.tolist(), strict=True)
    )
