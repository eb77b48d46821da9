"""Features by the words of their labels, and by the tokens that they promote.

A word of a label is found by its stem, by its beginning, and, where nothing is found so, by a
spelling close to it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from steering.atlas.labels import Kind, shown_labels, words_of
from steering.atlas.steerability import Standing, Steerability, standing, steerability
from steering.atlas.store import Atlas
from steering.errors import AtlasError

_CANDIDATES = 60
_SHORT = 5
"""Up to so many letters, one wrong one is forgiven; in a longer word two."""
_SHORTEST = 4
"""Letters of a word that is mended at all: of three, any one replaced is another word."""


@dataclass(frozen=True)
class Found:
    """A feature that was found, and what helps to choose it."""

    feature: int
    label: str | None
    source: str | None
    """Of the label."""
    score: float | None
    """Of the label, as its source gave it."""
    density: float
    max_act: float
    output_score: float | None
    steerability: Steerability | None
    standing: Standing | None
    """Of its output score among all."""
    why: str
    """What of the request it was found by."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def search(atlas: Atlas, words: str, limit: int = 20, *, mend: bool = True) -> list[Found]:
    """Features with a label that has every word, the best first.

    Where none has, and spellings are mended, those of the nearest known words, which `why` names.

    Raises:
        AtlasError: There is no word in the request.
    """
    asked = sorted(words_of(words))
    if not asked:
        raise AtlasError("There is no word to search for. Write at least one.")
    found = _by_stem_then_beginning(atlas, asked, limit)
    if not found and mend:
        mended = [_mended(atlas, word) for word in asked]
        if mended != asked:
            changed = [pair for pair in zip(mended, asked, strict=True) if pair[0] != pair[1]]
            said = ", ".join(f"“{new}” for “{old}”" for new, old in changed)
            near = _by_stem_then_beginning(atlas, mended, limit)
            found = {feature: f"{said}: {text}" for feature, text in near.items()}
    return described(atlas, found)


def _by_stem_then_beginning(atlas: Atlas, words: Sequence[str], limit: int) -> dict[int, str]:
    whole = " AND ".join(f'"{word}"' for word in words)
    begun = " AND ".join(f'"{word}"*' for word in words)
    found: dict[int, str] = {}
    for table, query in (("label_stems", whole), ("label_words", begun)):
        if len(found) < limit:
            rows = atlas.rows(
                f"SELECT labels.feature, labels.text FROM (SELECT rowid, rank FROM {table} "
                f"WHERE {table} MATCH ? ORDER BY rank LIMIT ?) hit JOIN labels "
                f"ON labels.id = hit.rowid ORDER BY kind = {Kind.EVIDENCE:d}, hit.rank, kind",
                (query, limit * 4),
            )
            for feature, text in rows:
                found.setdefault(feature, text)
    return dict(list(found.items())[:limit])


def _mended(atlas: Atlas, word: str) -> str:
    """The known word that is closest to this one in spelling, or the word itself."""
    if len(word) < _SHORTEST:
        return word
    bounded = f"^{word}$"
    parts = {bounded[i : i + 3] for i in range(len(bounded) - 2)}
    query = " OR ".join(f'"{part}"' for part in sorted(parts))
    rows = atlas.rows(
        "SELECT word FROM known_words WHERE known_words MATCH ? ORDER BY rank LIMIT ?",
        (query, _CANDIDATES),
    )
    near = sorted((edit_distance(word, known.strip("^$")), known.strip("^$")) for (known,) in rows)
    allowed = 1 if len(word) <= _SHORT else 2
    # A word stays known when the label that had it is gone.
    return next((known for far, known in near if far <= allowed and _labels(atlas, known)), word)


def _labels(atlas: Atlas, word: str) -> bool:
    """Whether some label has the word."""
    query = "SELECT 1 FROM label_words WHERE label_words MATCH ? LIMIT 1"
    return atlas.one(query, (f'"{word}"',)) is not None


def edit_distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or swap with a neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        last, before, row = before, row, [i]
        for j, against in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def search_promoted(atlas: Atlas, words: str, limit: int = 20) -> list[Found]:
    """Features whose direction promotes a token that is, begins with, or has inside, what is asked.

    Asked are all the words as one token where there is such a token, else each of them. Ranked by
    how many are promoted, then by the logits that the direction gives them.

    Raises:
        AtlasError: There is no word in the request.
    """
    several = words.casefold().split()
    if not several:
        raise AtlasError("There is no token to search for. Write at least one.")
    whole = " ".join(several)
    asked = [whole] if _tokens_of(atlas, whole) else several
    gains: dict[int, float] = {}
    texts: dict[int, list[str]] = {}
    for word in asked:
        for feature, gain, text in _promoting(atlas, word):
            gains[feature] = gains.get(feature, 0.0) + gain
            texts.setdefault(feature, []).append(text)
    order = sorted(gains, key=lambda feature: (-len(texts[feature]), -gains[feature], feature))
    return described(
        atlas, {f: f"promotes {', '.join(map(repr, texts[f]))}" for f in order[:limit]}
    )


def _promoting(atlas: Atlas, word: str) -> list[tuple[int, float, str]]:
    tokens = _tokens_of(atlas, word)
    marks = ",".join("?" * len(tokens))
    return atlas.rows(
        f"SELECT feature, max(gain), word FROM promoted JOIN vocabulary USING (token) "
        f"WHERE token IN ({marks}) GROUP BY feature",
        tokens,
    )


def _tokens_of(atlas: Atlas, word: str) -> list[int]:
    """Promoted tokens that are a word, or else begin with it, or else have it inside."""
    inside = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    for condition, values in (
        ("word = ?", (word,)),
        ("word >= ? AND word < ?", (word, word + "\U0010ffff")),
        (r"word LIKE ? ESCAPE '\'", (f"%{inside}%",)),
    ):
        rows = atlas.rows(
            f"SELECT token FROM vocabulary WHERE NOT special AND {condition} "
            "AND EXISTS (SELECT 1 FROM promoted WHERE promoted.token = vocabulary.token)",
            values,
        )
        if rows:
            return [token for (token,) in rows]
    return []


def described(atlas: Atlas, why: dict[int, str]) -> list[Found]:
    """Some features with what helps to choose between them, in the order given."""
    marks = ",".join("?" * len(why))
    stats = {
        feature: (density, max_act)
        for feature, density, max_act in atlas.rows(
            f"SELECT feature, density, max_act FROM stats WHERE feature IN ({marks})", list(why)
        )
    }
    scores = dict(
        atlas.rows(
            f"SELECT feature, output_score FROM scores WHERE feature IN ({marks})", list(why)
        )
    )
    named = shown_labels(atlas, list(why))
    found = []
    for feature, reason in why.items():
        density, max_act = stats.get(feature, (0.0, 0.0))
        label, output = named.get(feature), scores.get(feature)
        found.append(
            Found(
                feature=feature,
                label=label.text if label else None,
                source=label.source if label else None,
                score=label.score if label else None,
                density=density,
                max_act=max_act,
                output_score=output,
                steerability=steerability(output),
                standing=standing(atlas, output),
                why=reason,
            )
        )
    return found
