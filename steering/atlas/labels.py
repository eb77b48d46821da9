"""What features are called: every label with its source and its score, and whose word counts.

A feature has at most one label of each source. The one shown is a person's own, then the ground
truth of a bundled world, then the best-scored explanation, and last what its tokens suggest. Nobody
but a person overwrites a person's label.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any

from steering.atlas.store import Atlas, Writer
from steering.errors import AtlasError
from steering.features import FeatureFacts

PERSON = "person"
TRUTH = "features file"
EVIDENCE = "token evidence"


class Kind(IntEnum):
    """Whose word counts more: the lower one's."""

    PERSON = 0
    TRUTH = 1
    EXPLANATION = 2
    EVIDENCE = 3


KINDS = {PERSON: Kind.PERSON, TRUTH: Kind.TRUTH, EVIDENCE: Kind.EVIDENCE}
"""Of the sources that are made here; any other is an explanation."""

BEST = "ORDER BY kind, score IS NULL, score DESC, id"
"""The order of one feature's labels."""


COMMON = frozenset(
    [
        "a",
        "about",
        "all",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "do",
        "for",
        "from",
        "has",
        "have",
        "how",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "more",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "some",
        "something",
        "talk",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "there",
        "they",
        "this",
        "to",
        "us",
        "was",
        "we",
        "were",
        "what",
        "when",
        "which",
        "who",
        "will",
        "with",
        "write",
        "you",
        "your",
    ]
)
"""Words that say nothing about what a text is about."""


@dataclass(frozen=True)
class Label:
    """One label of a feature."""

    feature: int
    text: str
    source: str
    score: float | None = None
    """How good it is, as its source says; None where it does not."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Imported:
    """What became of some labels."""

    kept: int
    """In the atlas now."""
    unknown: int
    """Of features that the SAE does not have."""
    empty: int
    """Without a word."""
    beaten: int = 0
    """Of a feature and source that had another one with at least as good a score."""

    def __str__(self) -> str:
        left = [
            f"{count:,} {why}"
            for count, why in (
                (self.unknown, "of features that the SAE does not have"),
                (self.empty, "without a word"),
                (self.beaten, "beside a better one of the same feature and source"),
            )
            if count
        ]
        said = f"{self.kept:,} labels kept"
        return f"{said}; left out: {', '.join(left)}" if left else said


def add_labels(atlas: Atlas, labels: Iterable[Label]) -> Imported:
    """Take in labels; one that the atlas has of the same feature and source is replaced.

    Of several given of one feature and source, the one with the best score is kept.

    Raises:
        AtlasError: One claims to be a person's, or the atlas cannot be written.
    """
    unknown = empty = beaten = 0
    best: dict[tuple[int, str], Label] = {}
    # Read to the end before the atlas is locked: labels from an address can be slow to come.
    for label in labels:
        text = " ".join(label.text.split())
        if label.source == PERSON:
            raise AtlasError(
                f"A label from elsewhere cannot have the source {PERSON!r}, which is for your own. "
                "Name its source."
            )
        if not 0 <= label.feature < atlas.about.d_sae:
            unknown += 1
        elif not text:
            empty += 1
        else:
            whose = label.feature, label.source
            beaten += whose in best
            if whose not in best or _worth(label) > _worth(best[whose]):
                best[whose] = replace(label, text=text)
    with atlas.writing() as db:
        for label in best.values():
            _put(db, label.feature, label.text, label.source, label.score)
        _learn(db, set().union(*(words_of(label.text) for label in best.values())))
    return Imported(len(best), unknown, empty, beaten)


def _worth(label: Label) -> float:
    """Its score; a label that has none is worth less than any that has."""
    return -math.inf if label.score is None else label.score


def set_label(atlas: Atlas, feature: int, text: str) -> None:
    """A person's own label, which is shown before all others; no words take it back.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    own = " ".join(text.split())
    with atlas.writing() as db:
        if own:
            _put(db, feature, own, PERSON, None)
            _learn(db, words_of(own))
        else:
            db.run("DELETE FROM labels WHERE feature = ? AND source = ?", (feature, PERSON))


def _put(db: Writer, feature: int, text: str, source: str, score: float | None) -> None:
    kind = KINDS.get(source, Kind.EXPLANATION)
    db.run(
        "INSERT INTO labels (feature, source, kind, score, text) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (feature, source) DO UPDATE SET text = excluded.text, score = excluded.score",
        (feature, source, int(kind), score, text),
    )


def _learn(db: Writer, words: set[str]) -> None:
    """Remember which words labels have, each once, so that typing errors can be mended."""
    known = {word for (word,) in db.rows("SELECT word FROM known_words")}
    new = sorted({f"^{word}$" for word in words} - known)
    db.many("INSERT INTO known_words VALUES (?)", ((word,) for word in new))


def words_of(text: str) -> set[str]:
    """The words of a text, without case, as the index of words has them (of "ß" no "ss")."""
    return set(re.findall(r"\w+", text.lower()))


def labels(atlas: Atlas, feature: int) -> list[Label]:
    """Every label of a feature, the one that is shown first.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    atlas.require(feature)
    rows = atlas.rows(
        f"SELECT feature, text, source, score FROM labels WHERE feature = ? {BEST}", (feature,)
    )
    return [Label(*row) for row in rows]


def shown_labels(atlas: Atlas, features: Sequence[int] | None = None) -> dict[int, Label]:
    """The label that is shown for each of some features, or of all that have one."""
    columns = "SELECT feature, text, source, score FROM labels"
    if features is None:
        rows = atlas.rows(f"{columns} {BEST}")
    else:
        marks = ",".join("?" * len(features))
        rows = atlas.rows(f"{columns} WHERE feature IN ({marks}) {BEST}", list(features))
    found: dict[int, Label] = {}
    for row in rows:
        found.setdefault(row[0], Label(*row))
    return found


def truth_labels(facts: dict[int, FeatureFacts]) -> Iterable[Label]:
    """The labels of the features file beside an SAE, scored by how well they tell its firing."""
    for feature, known in facts.items():
        if text := known.label or known.target:
            yield Label(feature, text, TRUTH, known.reading_f1)
