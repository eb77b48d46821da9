"""The map of an SAE: its live features on a plane, in clusters that their labels name."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from steering.atlas.geometry import unit_rows
from steering.atlas.labels import COMMON, shown_labels
from steering.atlas.layout import clusters, lay_out
from steering.atlas.progress import Report
from steering.atlas.store import Atlas
from steering.errors import AtlasError
from steering.sae import Sae

MOST_CLUSTERS = 200
NAME_WORDS = 3
_OF_LABELS = frozenset(
    {"fires", "promotes", "nothing", "readable", "pushes", "towards", "tone", "nats"}
)
"""Words that say what kind of label it is, beside those that are common anyway."""


@dataclass(frozen=True)
class MapPoints:
    """Every live feature on the map, side by side."""

    features: Int[ndarray, " point"]
    x: Float[ndarray, " point"]
    y: Float[ndarray, " point"]
    clusters: Int[ndarray, " point"]
    densities: Float[ndarray, " point"]
    names: Mapping[int, str]
    """Of the clusters that have one."""


def make_map(atlas: Atlas, sae: Sae, *, seed: int = 0, report: Report = lambda *_: None) -> int:
    """Lay out the live features and store the map; how many there are.

    Args:
        atlas: Where it is stored.
        sae: Whose decoder rows are laid out.
        seed: Another picture.
        report: Told how far it is.

    Raises:
        AtlasError: The atlas is another SAE's, or has no statistics yet.
    """
    atlas.require_sae(sae)
    found = [f for (f,) in atlas.rows("SELECT feature FROM stats WHERE fired > 0 ORDER BY 1")]
    if not found:
        raise AtlasError(
            f"{str(atlas.path)!r} has no feature that fired, so there is no map to make. Run "
            "`steer atlas build --text FILE` first."
        )
    rows = unit_rows(sae)[found]
    places = lay_out(rows, seed=seed, report=report)
    count = min(MOST_CLUSTERS, max(2, round(math.sqrt(len(found)) / 2)))
    own = clusters(places, count, seed=seed)
    with atlas.writing() as db:
        db.run("DELETE FROM places")
        columns = (found, places[:, 0].tolist(), places[:, 1].tolist(), own.tolist())
        db.many("INSERT INTO places VALUES (?, ?, ?, ?)", zip(*columns, strict=True))
    name_clusters(atlas)
    return len(found)


def name_clusters(atlas: Atlas) -> None:
    """Name the clusters of the map, if there is one, anew after their features' labels."""
    members: dict[int, list[int]] = {}
    for feature, cluster in atlas.rows("SELECT feature, cluster FROM places ORDER BY feature"):
        members.setdefault(cluster, []).append(feature)
    texts = {feature: label.text for feature, label in shown_labels(atlas).items()}
    said = {
        cluster: [texts[feature] for feature in own if feature in texts]
        for cluster, own in members.items()
    }
    with atlas.writing() as db:
        db.run("DELETE FROM clusters")
        db.many("INSERT INTO clusters VALUES (?, ?)", cluster_names(said).items())


def cluster_names(texts: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """A few words for each cluster that its labels have more often than others do.

    No two clusters have the same words: the one that they fit less goes on to its next ones, and
    has no name where it has no others.
    """
    weights = _weights(texts)
    taken: set[frozenset[str]] = set()
    names = {}
    for cluster in sorted(weights, key=lambda each: (-max(weights[each].values()), each)):
        own = weights[cluster]
        ranked = sorted(own, key=lambda word: (-own[word], word))
        free = next((few for few in _choices(ranked) if frozenset(few) not in taken), None)
        if free is not None:
            taken.add(frozenset(free))
            names[cluster] = ", ".join(free)
    return names


def _weights(texts: Mapping[int, Sequence[str]]) -> dict[int, dict[str, float]]:
    """How surely the words of each cluster's labels tell it from the rest: see `_surprise`."""
    counts = {cluster: Counter(_words(own)) for cluster, own in texts.items()}
    total = sum(counts.values(), Counter[str]())
    labels = sum(map(len, texts.values()))
    return {
        cluster: {
            word: _surprise(times, total[word] * len(texts[cluster]) / labels)
            for word, times in own.items()
        }
        for cluster, own in counts.items()
        if own
    }


def _surprise(times: int, expected: float) -> float:
    """Half of the Poisson deviance of a count, in nats; negative where it is below the expected."""
    found = times * math.log(times / expected) - times + expected
    return math.copysign(found, times - expected)


def _choices(ranked: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A few of the words, the best first, and fewer where those run out."""
    for size in range(min(NAME_WORDS, len(ranked)), 0, -1):
        yield from combinations(ranked, size)


def _words(texts: Sequence[str]) -> list[str]:
    """The words of each label, once for each label."""
    return [
        word
        for text in texts
        for word in sorted(set(re.findall(r"[^\W\d_]{3,}", text.casefold())) - COMMON - _OF_LABELS)
    ]


def silent_on_map(atlas: Atlas) -> int:
    """How many features lie on the stored map that a build on another text did not see fire."""
    (count,) = atlas.one(
        "SELECT count(*) FROM places LEFT JOIN stats USING (feature) WHERE coalesce(fired, 0) = 0"
    ) or (0,)
    return count


def map_points(atlas: Atlas) -> MapPoints:
    """The stored map.

    Raises:
        AtlasError: There is none yet.
    """
    rows = atlas.rows(
        "SELECT feature, x, y, cluster, coalesce(density, 0.0) FROM places "
        "LEFT JOIN stats USING (feature) ORDER BY feature"
    )
    if not rows:
        raise AtlasError(f"{str(atlas.path)!r} has no map yet. Make one with `steer atlas map`.")
    table = np.array(rows, np.float64)
    names = dict(atlas.rows("SELECT cluster, name FROM clusters"))
    return MapPoints(
        features=table[:, 0].astype("int64"),
        x=table[:, 1],
        y=table[:, 2],
        clusters=table[:, 3].astype("int64"),
        densities=table[:, 4],
        names=names,
    )
