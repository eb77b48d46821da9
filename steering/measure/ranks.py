"""Whether two series rise together, and whether two groups lie apart: rank and permutation tests.

Knows numbers only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; 0 where one is constant.

    Raises:
        ValueError: The series are not pairs, or fewer than two.
    """
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(f"{len(one)} and {len(other)} values are no pairs to correlate.")
    a, b = _ranks(np.asarray(one, float)), _ranks(np.asarray(other, float))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def shuffled_spearman(
    one: Sequence[float], other: Sequence[float], *, seed: int, times: int = 1_000
) -> float:
    """The correlation that 95 % of seeded shuffles of one series stay below."""
    rng = np.random.default_rng(seed)
    found = [spearman(one, rng.permutation(np.asarray(other)).tolist()) for _ in range(times)]
    return float(np.quantile(found, 0.95))


def separation(similarity: NDArray[np.float64], side: NDArray[np.bool_]) -> float:
    """Mean similarity within the two sides less that across; the diagonal is left out."""
    same = side[:, None] == side[None, :]
    off = ~np.eye(len(side), dtype=bool)
    return float(similarity[same & off].mean() - similarity[~same].mean())


def permutation_p(
    similarity: NDArray[np.float64], side: NDArray[np.bool_], *, seed: int, times: int = 10_000
) -> float:
    """The share of seeded relabellings that lie at least as far apart, the real one counted too."""
    rng = np.random.default_rng(seed)
    real = separation(similarity, side)
    beyond = sum(separation(similarity, rng.permutation(side)) >= real for _ in range(times))
    return (beyond + 1) / (times + 1)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts).astype(float)
    return (last - (counts - 1) / 2)[inverse]
