"""Logarithmic bins: a histogram whose range need not be known, in memory that never grows.

Eight equal steps in each octave from 2^-8 to 2^16; what lies outside counts in the last bin at that
side. A quantile read off them is off by at most one step, an eighth of the value.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

LOWEST, HIGHEST, STEPS = -8, 16, 8
COUNT = (HIGHEST - LOWEST) * STEPS

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
"""Kept of the activations of each feature where it fires."""


def bin_of(values: Float[ndarray, " value"]) -> Int[ndarray, " value"]:
    """The bin of each positive value."""
    mantissa, exponent = np.frexp(values)
    step = ((mantissa * 2 - 1) * STEPS).astype(np.int64)
    return np.clip((exponent.astype(np.int64) - 1 - LOWEST) * STEPS + step, 0, COUNT - 1)


def edges() -> Float[ndarray, " edge"]:
    """Where each bin begins, and at last where the last one ends."""
    octave, step = np.divmod(np.arange(COUNT + 1), STEPS)
    return np.exp2(octave + LOWEST) * (1 + step / STEPS)


def quantiles(
    counts: Int[ndarray, "feature bin"],
    asked: tuple[float, ...],
    highest: Float[ndarray, " feature"],
) -> Float[ndarray, "feature quantile"]:
    """Quantiles of what each histogram counted, linear within a bin; 0 where it counted nothing."""
    at = edges()
    total = counts.sum(1)
    upto = np.cumsum(counts, axis=1)
    found = np.zeros((len(counts), len(asked)))
    rows = np.arange(len(counts))
    for column, share in enumerate(asked):
        rank = share * total
        place = np.minimum((upto < rank[:, None]).sum(1), COUNT - 1)
        here = counts[rows, place]
        inside = (rank - (upto[rows, place] - here)) / np.maximum(here, 1)
        value = at[place] + inside * (at[place + 1] - at[place])
        found[:, column] = np.where(total > 0, np.minimum(value, highest), 0.0)
    return found
