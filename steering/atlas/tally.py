"""What one pass over a text counts of every feature of one SAE.

It takes the firings of a group of rows and holds arrays whose size depends on the SAE alone, so
that a build can be written down and taken up again to the byte. It knows no model and no file.
"""

from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from steering.atlas import bins
from steering.atlas.keep import Best, Entries
from steering.atlas.pairs import PairCounts
from steering.atlas.windows import Firings, Tokens, contexts

TOP = 20
"""Examples with the highest activation that each feature keeps, at most one of a row."""

TENTHS, IN_TENTH = 10, 2
"""Tenths of the range from 0 to the maximum, and the samples kept of each."""

NORM_STEPS = 64
"""Norms of the stream are binned more finely, in as many steps an octave: their median is one
number that strengths rest on."""
_FEATURES = 4096  # whose samples are copied at once
_NORM_BINS = 40 * NORM_STEPS


class Tally:
    """The statistics of one SAE so far."""

    def __init__(self, d_sae: int, arrays: dict[str, ndarray] | None = None) -> None:
        """Begin anew, or take up what `arrays()` gave."""
        self.d_sae = d_sae
        self.top = Best.empty(d_sae, TOP)
        self.samples = Best.empty(d_sae * TENTHS, IN_TENTH)
        kept = arrays or {}
        self.tokens = int(kept.get("tokens", 0))
        self.fired = kept.get("fired", np.zeros(d_sae, np.int64))
        self.max_act = kept.get("max_act", np.zeros(d_sae, np.float32))
        self.total = kept.get("total", np.zeros(d_sae))
        self.histogram = kept.get("histogram", np.zeros((d_sae, bins.COUNT), np.int64))
        self.norms = kept.get("norms", np.zeros(_NORM_BINS, np.int64))
        self.pairs = PairCounts(
            d_sae,
            kept.get("pair_keys"),
            kept.get("pair_counts"),
            kept.get("pair_missed"),
            int(kept.get("dropped", 0)),
        )
        if kept:
            self.top = Best(Entries(*(kept[f"top_{name}"] for name in Entries._fields)))
            self.samples = Best(Entries(*(kept[f"sample_{name}"] for name in Entries._fields)))

    def arrays(self) -> dict[str, ndarray]:
        """Everything it has counted, by name."""
        plain: dict[str, Any] = {
            "tokens": np.int64(self.tokens),
            "fired": self.fired,
            "max_act": self.max_act,
            "total": self.total,
            "histogram": self.histogram,
            "norms": self.norms,
            "pair_keys": self.pairs.keys,
            "pair_counts": self.pairs.counts,
            "pair_missed": self.pairs.missed,
            "dropped": np.int64(self.pairs.dropped),
        }
        top = {f"top_{name}": part for name, part in self.top.arrays().items()}
        samples = {f"sample_{name}": part for name, part in self.samples.arrays().items()}
        return {key: np.asarray(value) for key, value in (plain | top | samples).items()}

    @classmethod
    def of(cls, arrays: dict[str, ndarray]) -> Self:
        """Take up what `arrays()` gave."""
        return cls(len(arrays["fired"]), arrays)

    def add(self, firings: Firings, tokens: Tokens, norms: Float[ndarray, " counted"]) -> None:
        """Count the firings of a group of rows, which stand in order of token and feature.

        Args:
            firings: Those on counted tokens, activations f · ||d||, all above 0.
            tokens: The group's.
            norms: Of the stream on each counted token, in the SAE's space.
        """
        feature, act = firings.feature, firings.act
        self.tokens += len(tokens.counted)
        self.norms += np.bincount(_norm_bin(norms), minlength=_NORM_BINS)
        if not len(feature):
            return
        self.fired += np.bincount(feature, minlength=self.d_sae)
        self.total += np.bincount(feature, weights=act, minlength=self.d_sae)
        cells = feature.astype(np.int64) * bins.COUNT + bins.bin_of(act)
        counted = np.bincount(cells, minlength=self.histogram.size)
        self.histogram += counted.reshape(self.histogram.shape)
        self.pairs.add(firings.token, feature, act)
        grown = self._raise_maxima(feature, act)
        self._sort_samples_again(grown)
        self._keep_top(firings, tokens)
        self._keep_samples(firings, tokens)

    def _raise_maxima(self, feature: ndarray, act: ndarray) -> Int[ndarray, " feature"]:
        before = self.max_act.copy()
        np.maximum.at(self.max_act, feature, act)
        return np.flatnonzero(self.max_act > before)

    def _keep_top(self, firings: Firings, tokens: Tokens) -> None:
        """Of each row only the token on which a feature fires most."""
        row = tokens.row[tokens.counted][firings.token]
        number = tokens.number[firings.token]
        order = np.lexsort((number, -firings.act, row, firings.feature))
        feature, row = firings.feature[order], row[order]
        new = np.ones(len(order), bool)
        new[1:] = (feature[1:] != feature[:-1]) | (row[1:] != row[:-1])
        chosen = np.sort(order[new])
        self._offer(self.top, firings.feature, firings.act, chosen, firings, tokens)

    def _keep_samples(self, firings: Firings, tokens: Tokens) -> None:
        tenth = self._tenth(firings.feature, firings.act)
        keys = firings.feature.astype(np.int64) * TENTHS + tenth
        chance = _chance(tokens.number[firings.token], firings.feature)
        self._offer(self.samples, keys, chance, np.arange(len(keys)), firings, tokens)

    def _offer(
        self,
        table: Best,
        keys: ndarray,
        scores: ndarray,
        chosen: Int[ndarray, " chosen"],
        firings: Firings,
        tokens: Tokens,
    ) -> None:
        def entries(index: Int[ndarray, " wanted"]) -> Entries:
            at = chosen[index]
            ids, acts = contexts(firings, tokens, at, self.d_sae)
            number = tokens.number[firings.token[at]]
            return Entries(scores[at].astype(np.float64), firings.act[at], number, ids, acts)

        table.offer(keys[chosen], scores[chosen].astype(np.float64), entries)

    def _tenth(self, feature: ndarray, act: ndarray) -> Int[ndarray, " firing"]:
        share = act.astype(np.float64) / self.max_act[feature]
        return np.clip(np.ceil(share * TENTHS).astype(np.int64) - 1, 0, TENTHS - 1)

    def _sort_samples_again(self, features: Int[ndarray, " feature"]) -> None:
        """A higher maximum moves the samples of a feature to lower tenths."""
        for start in range(0, len(features), _FEATURES):
            self._sort_some_again(features[start : start + _FEATURES])

    def _sort_some_again(self, features: Int[ndarray, " feature"]) -> None:
        keys = (features[:, None] * TENTHS + np.arange(TENTHS)).ravel()
        flat = Entries(*(p[keys].reshape(-1, *p.shape[2:]) for p in self.samples.entries))
        own = np.repeat(keys // TENTHS, IN_TENTH)
        filled = np.flatnonzero(flat.number >= 0)
        if not len(filled):
            return
        kept, own = flat.take(filled), own[filled]
        self.samples.clear(keys)
        moved = own * TENTHS + self._tenth(own, kept.act)
        self.samples.offer(moved, kept.score, kept.take)

    @property
    def median_norm(self) -> float:
        """Median norm of the stream on the counted tokens, to a hundredth of itself."""
        upto = np.cumsum(self.norms)
        place = int(np.searchsorted(upto, self.tokens / 2))
        octave, step = divmod(place, NORM_STEPS)
        return float(np.exp2(octave - 20) * (1 + (step + 0.5) / NORM_STEPS))


def _norm_bin(norms: ndarray) -> Int[ndarray, " counted"]:
    mantissa, exponent = np.frexp(norms)
    step = ((mantissa * 2 - 1) * NORM_STEPS).astype(np.int64)
    return np.clip((exponent.astype(np.int64) + 19) * NORM_STEPS + step, 0, _NORM_BINS - 1)


def _chance(number: ndarray, feature: ndarray) -> Float[ndarray, " firing"]:
    """A number in [0, 1) that depends on token and feature alone (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed += feature.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
