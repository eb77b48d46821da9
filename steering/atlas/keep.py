"""Keeps the best few of many, for each of many keys, in arrays that never grow.

Entries are offered in the order of the text; of two that score alike the earlier one stays, so that
what is kept does not depend on how the text was cut into groups.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from steering.atlas.windows import NOTHING, WIDTH

_KEYS = 8192
"""Keys merged at once."""


class Entries(NamedTuple):
    """What is kept of each firing, side by side."""

    score: Float[ndarray, "*shape"]
    act: Float[ndarray, "*shape"]
    number: Int[ndarray, "*shape"]
    ids: Int[ndarray, "*shape place"]
    acts: Float[ndarray, "*shape place"]

    def take(self, index: ndarray) -> "Entries":
        """Some of them."""
        return Entries(*(part[index] for part in self))


class Best:
    """The `slots` best entries for each key, the best first."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries

    @classmethod
    def empty(cls, keys: int, slots: int) -> Self:
        """A table that keeps nothing yet."""
        shape = (keys, slots)
        return cls(
            Entries(
                score=np.full(shape, -np.inf),
                act=np.zeros(shape, np.float32),
                number=np.full(shape, -1, np.int64),
                ids=np.full((*shape, WIDTH), NOTHING, np.int32),
                acts=np.zeros((*shape, WIDTH), np.float16),
            )
        )

    @property
    def slots(self) -> int:
        """How many each key keeps."""
        return self.entries.score.shape[1]

    def offer(
        self,
        keys: Int[ndarray, " entry"],
        scores: Float[ndarray, " entry"],
        entries: Callable[[Int[ndarray, " chosen"]], Entries],
    ) -> None:
        """Take in what is better than what is kept; `entries` makes those that are wanted."""
        hopeful = np.flatnonzero(scores > self.entries.score[keys, -1])
        if not len(hopeful):
            return
        hopeful = hopeful[np.lexsort((-scores[hopeful], keys[hopeful]))]
        hopeful = hopeful[_rank(keys[hopeful]) < self.slots]
        # In parts of the keys, so that the copies a merge makes stay small beside the table.
        bounds = np.searchsorted(keys[hopeful], np.arange(0, len(self.entries.score), _KEYS))
        for part in np.split(hopeful, bounds[1:]):
            if len(part):
                self._merge(keys[part], entries(part))

    def _merge(self, keys: Int[ndarray, " entry"], new: Entries) -> None:
        touched = np.unique(keys)
        old = Entries(*(p[touched].reshape(-1, *p.shape[2:]) for p in self.entries))
        both = Entries(*(np.concatenate(pair) for pair in zip(old, new, strict=True)))
        key = np.concatenate([np.repeat(touched, self.slots), keys])
        order = np.lexsort((-both.score, key))  # stable: what was kept before comes first
        order = order[_rank(key[order]) < self.slots]
        for kept, part in zip(self.entries, both.take(order), strict=True):
            kept[touched] = part.reshape(len(touched), self.slots, *part.shape[1:])

    def clear(self, keys: Int[ndarray, " key"]) -> None:
        """Forget what some keys kept."""
        self.entries.score[keys] = -np.inf
        self.entries.number[keys] = -1

    def arrays(self) -> dict[str, ndarray]:
        """Its arrays by name."""
        return self.entries._asdict()


def _rank(keys: Int[ndarray, " entry"]) -> Int[ndarray, " entry"]:
    """The place of each entry among those of its key; equal keys stand together."""
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(starts, len(keys)))
    return np.arange(len(keys)) - np.repeat(starts, sizes)
