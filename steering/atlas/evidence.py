"""Labels that a feature's tokens suggest: what it fires on, and what it promotes.

Plain counting, with no other model: poor beside an explanation, and better than a bare number.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from steering.atlas.cards import Example, TokenGain, examples, show
from steering.atlas.labels import EVIDENCE, Label
from steering.atlas.store import Atlas

READS, WRITES = 3, 3
"""Words named at each end."""


def evidence_labels(atlas: Atlas) -> Iterator[Label]:
    """A label for every feature that fired, scored by how many of its examples it speaks of."""
    for (feature,) in atlas.rows("SELECT feature FROM stats WHERE fired > 0 ORDER BY feature"):
        label = evidence_label(examples(atlas, feature), show(atlas, feature).promoted)
        if label is not None:
            yield Label(feature, label[0], EVIDENCE, label[1])


def evidence_label(
    best: Sequence[Example], promoted: Sequence[TokenGain]
) -> tuple[str, float] | None:
    """The label, and the share of the examples that fire on one of the words it names."""
    fires_on = Counter(_word(each.pieces[each.at]) for each in best)
    named = [word for word, _ in fires_on.most_common(READS) if word]
    writes = list(dict.fromkeys(word for each in promoted if (word := _word(each.text))))[:WRITES]
    if not (named or writes):
        return None
    share = sum(fires_on[word] for word in named) / max(len(best), 1)
    return f"fires on {_listed(named)}; promotes {_listed(writes)}", share


def _word(piece: str) -> str:
    return piece.strip()


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"“{word}”" for word in words) or "nothing readable"
