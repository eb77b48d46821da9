"""One feature as the atlas knows it: figures, tokens, examples, partners."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from steering.atlas import bins
from steering.atlas.labels import Label, labels, shown_labels
from steering.atlas.steerability import Standing, Steerability, standing, steerability
from steering.atlas.store import Atlas
from steering.atlas.vocabulary import pieces
from steering.atlas.windows import BEFORE, NOTHING, TOP_TENTH, Window, unpack


@dataclass(frozen=True)
class TokenGain:
    """A token and the logit that a direction gives it."""

    text: str
    gain: float


@dataclass(frozen=True)
class Example:
    """A context in which a feature fires."""

    act: float
    """On the token that it stands for."""
    pieces: tuple[str, ...]
    acts: tuple[float, ...]
    """On each piece; 0 also where a token does not count."""
    at: int
    """Which piece it stands for."""
    tenth: int | None
    """Which tenth of the range it was drawn from, 0 to 9; None for one of the best."""
    row: int
    """Which row of the text."""


@dataclass(frozen=True)
class Histogram:
    """How often each range of activation was seen; 0 is not counted."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Partner:
    """A feature that fires on the same tokens."""

    feature: int
    both: int
    """Tokens on which both fired, as far as they were among the strongest of them."""
    closeness: float
    """both / sqrt(fired · fired): the cosine of the two firing patterns."""
    label: str | None


@dataclass(frozen=True)
class Card:
    """Everything about one feature but its examples."""

    feature: int
    label: str | None
    labels: tuple[Label, ...]
    fired: int
    density: float
    max_act: float
    mean_act: float
    """Where it fires."""
    decoder_norm: float | None
    quantiles: dict[float, float]
    """Of its activation where it fires."""
    promoted: tuple[TokenGain, ...]
    demoted: tuple[TokenGain, ...]
    partners: tuple[Partner, ...]
    output_score: float | None
    steerability: Steerability | None
    standing: Standing | None
    """Of its output score."""
    cluster: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        return {**plain, "quantiles": {f"{share:g}": q for share, q in self.quantiles.items()}}


def show(atlas: Atlas, feature: int) -> Card:
    """What is known of a feature.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    known = labels(atlas, feature)
    stats = atlas.one(
        "SELECT fired, density, max_act, mean_act, decoder_norm, quantiles FROM stats "
        "WHERE feature = ?",
        (feature,),
    )
    fired, density, max_act, mean_act, norm, cuts = stats or (0, 0.0, 0.0, 0.0, None, b"")
    (score,) = atlas.one("SELECT output_score FROM scores WHERE feature = ?", (feature,)) or (None,)
    cluster = atlas.one(
        "SELECT name FROM places JOIN clusters USING (cluster) WHERE feature = ?", (feature,)
    )
    promoted, demoted = _lens(atlas, feature)
    return Card(
        feature=feature,
        label=known[0].text if known else None,
        labels=tuple(known),
        fired=fired,
        density=density,
        max_act=max_act,
        mean_act=mean_act,
        decoder_norm=norm,
        quantiles=dict(zip(bins.QUANTILES, np.frombuffer(cuts, np.float32).tolist(), strict=False)),
        promoted=promoted,
        demoted=demoted,
        partners=partners(atlas, feature),
        output_score=score,
        steerability=steerability(score),
        standing=standing(atlas, score),
        cluster=cluster[0] if cluster else None,
    )


def known_max(atlas: Atlas, feature: int) -> float | None:
    """The largest activation seen, None where it was never seen to fire."""
    atlas.require(feature)
    found = atlas.one("SELECT max_act FROM stats WHERE feature = ? AND fired > 0", (feature,))
    return found[0] if found else None


def _lens(atlas: Atlas, feature: int) -> tuple[tuple[TokenGain, ...], tuple[TokenGain, ...]]:
    found = atlas.one("SELECT promoted, demoted FROM lens WHERE feature = ?", (feature,))
    if found is None:
        return (), ()
    tables = [np.frombuffer(packed).reshape(2, -1) for packed in found]
    ids = {int(token) for table in tables for token in table[0]}
    spelled = _spelled(atlas, sorted(ids))
    promoted, demoted = (
        tuple(
            TokenGain(spelled[int(token)].decode(errors="replace"), float(gain))
            for token, gain in table.T
        )
        for table in tables
    )
    return promoted, demoted


def _spelled(atlas: Atlas, tokens: Sequence[int]) -> dict[int, bytes]:
    marks = ",".join("?" * len(tokens))
    return dict(atlas.rows(f"SELECT token, bytes FROM vocabulary WHERE token IN ({marks})", tokens))


def examples(atlas: Atlas, feature: int) -> list[Example]:
    """The contexts with the highest activation, the highest first, one of a row.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    return _examples(atlas, feature, "tenth < 0")


def samples(atlas: Atlas, feature: int) -> list[Example]:
    """A few contexts of each tenth of the range from 0 to the maximum, the highest tenth first.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    return _examples(atlas, feature, "tenth >= 0")


def _examples(atlas: Atlas, feature: int, which: str) -> list[Example]:
    rows = atlas.rows(
        f"SELECT tenth, windows FROM examples WHERE feature = ? AND {which} ORDER BY tenth DESC",
        (feature,),
    )
    windows = [(tenth, window) for tenth, packed in rows for window in unpack(packed)]
    ids = sorted({int(i) for _, window in windows for i in window.ids if i != NOTHING})
    spelled = _spelled(atlas, ids) if ids else {}
    return [_example(tenth, window, spelled) for tenth, window in windows]


def _example(tenth: int, window: Window, spelled: dict[int, bytes]) -> Example:
    inside = window.ids != NOTHING
    return Example(
        act=window.act,
        pieces=pieces(window.ids[inside].tolist(), spelled),
        acts=tuple(window.acts[inside].astype(np.float32).tolist()),
        at=int(inside[:BEFORE].sum()),
        tenth=None if tenth == TOP_TENTH else tenth,
        row=window.row,
    )


def histogram(atlas: Atlas, feature: int) -> Histogram:
    """How a feature's activations are distributed where it fires, in logarithmic bins.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    found = atlas.one("SELECT histogram FROM stats WHERE feature = ?", (feature,))
    packed = np.frombuffer(found[0] if found else b"", np.uint32)
    if not len(packed):
        return Histogram((), ())
    first, counts = int(packed[0]), packed[1:]
    edges = bins.edges()[first : first + len(counts) + 1]
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def partners(atlas: Atlas, feature: int) -> tuple[Partner, ...]:
    """The features that fire with it most, the closest first.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    rows = atlas.rows(
        "SELECT other, both, both / sqrt(1.0 * one.fired * two.fired) AS closeness FROM pairs "
        "JOIN stats one ON one.feature = pairs.feature JOIN stats two ON two.feature = other "
        "WHERE pairs.feature = ? ORDER BY closeness DESC, other",
        (feature,),
    )
    named = shown_labels(atlas, [other for other, _, _ in rows])
    return tuple(
        Partner(other, both, closeness, named[other].text if other in named else None)
        for other, both, closeness in rows
    )
