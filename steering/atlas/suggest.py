"""From a phrase to interventions: which features, and how strong to begin with."""

from dataclasses import dataclass
from typing import Any

from steering.atlas.labels import COMMON, words_of
from steering.atlas.meaning import Encode, search_meaning
from steering.atlas.search import Found, search, search_promoted
from steering.atlas.store import Atlas
from steering.errors import AtlasError
from steering.interventions import Intervention

SHARE = 0.5
"""Of the median residual norm: the middle of the range in which single features steer text without
breaking it."""

_DEPTH = 30
_FLAT = 20
"""Reciprocal rank fusion: how far down a list a place still counts about as much as the first."""
_WORTH = {"strong": 1.5, "some": 1.0, None: 1.0, "weak": 0.1}
"""What a badge does to the points of the searches: of two that fit about as well, the better one to
steer comes first; one that hardly fits stays behind, and one known not to steer comes last."""


@dataclass(frozen=True)
class Suggestion:
    """A feature for a phrase, and an edit to begin with."""

    found: Found
    intervention: Intervention
    raw: float
    """What its strength comes to."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        edit = self.intervention.model_dump(mode="json")
        return {"found": self.found.to_dict(), "intervention": edit, "raw": self.raw}


def suggest(
    atlas: Atlas,
    phrase: str,
    *,
    limit: int = 5,
    sae: str | None = None,
    encode: Encode | None = None,
) -> list[Suggestion]:
    """Interventions that may bring a phrase's subject into a text, the most promising first.

    Features are found by their labels, by the tokens they promote, and with an encoder by what
    their labels mean; those known to steer count for more, and those known not to for little. Each
    is clamped at half of the median residual norm, and given in norms.

    Args:
        atlas: Of the SAE; it must have been built.
        phrase: In words.
        limit: How many.
        sae: The alias to put into the interventions, where several SAEs are loaded.
        encode: What made the vectors that the atlas holds: see `meaning.encoder_of`.

    Raises:
        AtlasError: The atlas has no statistics yet, or no vector where an encoder is given, or the
            phrase has no word.
    """
    if atlas.about.median_norm is None:
        raise AtlasError(
            f"{str(atlas.path)!r} has no statistics, so no strength can be suggested. Run "
            "`steer atlas build --text FILE` first."
        )
    usable = [found for found in _ranked(atlas, phrase, encode) if found.max_act > 0][:limit]
    raw = SHARE * atlas.about.median_norm
    return [Suggestion(found, _edit(found.feature, sae), raw) for found in usable]


def _ranked(atlas: Atlas, phrase: str, encode: Encode | None) -> list[Found]:
    """Features by how high they stand in searches for all the words, for each, and by meaning, and
    by how well they are known to steer."""
    words = sorted(words_of(phrase) - COMMON) or sorted(words_of(phrase))
    asked = [" ".join(words), *(words if len(words) > 1 else ())]
    # A near spelling is another word: it may be looked at, and not steered towards.
    lists = [search(atlas, each, _DEPTH, mend=False) for each in asked]
    lists += [search_promoted(atlas, each, _DEPTH) for each in words]
    if encode is not None:
        lists.append(search_meaning(atlas, phrase, encode, _DEPTH))
    points: dict[int, float] = {}
    best: dict[int, Found] = {}
    for hits in lists:
        for place, found in enumerate(hits):
            points[found.feature] = points.get(found.feature, 0.0) + 1 / (_FLAT + place)
            best.setdefault(found.feature, found)
    worth = {f: at * _WORTH[best[f].steerability] for f, at in points.items()}
    return [best[feature] for feature in sorted(worth, key=lambda f: (-worth[f], f))]


def _edit(feature: int, sae: str | None) -> Intervention:
    # In norms: a multiple of the atlas's maximum would be one of another maximum to a session that
    # has a features file.
    return Intervention(feature=feature, sae=sae, edit="clamp", strength=SHARE, unit="norm")
