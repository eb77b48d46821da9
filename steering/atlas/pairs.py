"""Which features fire on one token: counts of pairs, in memory that never grows.

Of each token only the strongest few pair up. Up to `CAPACITY` different pairs are counted exactly;
beyond that the rarest are dropped (lossy counting, Manku and Motwani 2002), and a pair that comes
after that may have been there before: its count may be too small by its `missed`, which is never
more than `dropped`.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

STRONGEST = 16
CAPACITY = 4_000_000


class PairCounts:
    """How often two features fired on one token."""

    def __init__(
        self,
        d_sae: int,
        keys: Int[ndarray, " pair"] | None = None,
        counts: Int[ndarray, " pair"] | None = None,
        missed: Int[ndarray, " pair"] | None = None,
        dropped: int = 0,
    ) -> None:
        self.d_sae = d_sae
        self.keys = np.zeros(0, np.int64) if keys is None else keys
        self.counts = np.zeros(0, np.int64) if counts is None else counts
        self.missed = np.full(len(self.keys), dropped) if missed is None else missed
        self.dropped = dropped

    def add(
        self,
        token: Int[ndarray, " firing"],
        feature: Int[ndarray, " firing"],
        act: Float[ndarray, " firing"],
    ) -> None:
        """Count the pairs of each token; firings of one token stand together."""
        new = _pair_keys(token, feature, act, self.d_sae)
        keys, counts = np.unique(new, return_counts=True)
        if not len(keys):
            return
        at = np.searchsorted(self.keys, keys)
        known = at < len(self.keys)
        known[known] = self.keys[at[known]] == keys[known]
        self.counts[at[known]] += counts[known]
        merged = np.concatenate([self.keys, keys[~known]])
        order = np.argsort(merged, kind="stable")
        self.keys = merged[order]
        self.counts = np.concatenate([self.counts, counts[~known]])[order]
        missed = np.full_like(counts[~known], self.dropped)
        self.missed = np.concatenate([self.missed, missed])[order]
        while len(self.keys) > CAPACITY:
            self.dropped += 1
            kept = self.counts + self.missed > self.dropped
            self.keys, self.counts = self.keys[kept], self.counts[kept]
            self.missed = self.missed[kept]

    def strongest(
        self, fired: Int[ndarray, " feature"], count: int
    ) -> tuple[Int[ndarray, " pair"], Int[ndarray, " pair"], Int[ndarray, " pair"]]:
        """For each feature the partners that it fires with most: feature, partner, times.

        Ranked by both / sqrt(fired · fired), the cosine of the two firing patterns.
        """
        low, high = np.divmod(self.keys, self.d_sae)
        one, other = np.concatenate([low, high]), np.concatenate([high, low])
        both = np.concatenate([self.counts, self.counts])
        closeness = both / np.sqrt(fired[one].astype(np.float64) * fired[other])
        order = np.lexsort((other, -closeness, one))
        starts = np.searchsorted(one[order], one[order])
        order = order[np.arange(len(order)) - starts < count]
        return one[order], other[order], both[order]


def _pair_keys(token: ndarray, feature: ndarray, act: ndarray, d_sae: int) -> ndarray:
    """Every pair of each token's strongest, as low · d_sae + high."""
    order = np.lexsort((-act, token))
    token, feature = token[order], feature[order]
    starts = np.searchsorted(token, token)
    near = np.arange(len(token)) - starts < STRONGEST
    token, feature = token[near], feature[near]
    found = [np.zeros(0, np.int64)]
    for step in range(1, STRONGEST):
        same = np.flatnonzero(token[step:] == token[:-step])
        one, other = feature[same], feature[same + step]
        found.append(np.minimum(one, other).astype(np.int64) * d_sae + np.maximum(one, other))
    return np.concatenate(found)
