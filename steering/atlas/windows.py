"""The context of a firing: the tokens around it, and what the feature read on each."""

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

BEFORE, AFTER = 20, 11
WIDTH = BEFORE + 1 + AFTER
"""Tokens of a context: so many before the one that fired, itself, and so many behind it."""

_HIGHEST = float(np.finfo(np.float16).max)

NOTHING = -1
"""Stands for a token beyond the row."""


TOP_TENTH = -1
"""The place of the examples with the highest activation, beside the tenths 0 to 9."""


class Firings(NamedTuple):
    """Every firing on the counted tokens of a group, in order of token and feature."""

    token: Int[ndarray, " firing"]
    feature: Int[ndarray, " firing"]
    act: Float[ndarray, " firing"]


@dataclass(frozen=True)
class Tokens:
    """The tokens of a group side by side, row after row; positions that do not count included."""

    ids: Int[ndarray, " token"]
    row: Int[ndarray, " token"]
    """Counted over the whole text."""
    position: Int[ndarray, " token"]
    counted: Int[ndarray, " counted"]
    """Where the counted tokens lie in `ids`."""

    @property
    def number(self) -> Int[ndarray, " counted"]:
        """A number for each counted token that depends on its place in the text alone."""
        return self.row[self.counted] * 65536 + self.position[self.counted]


def contexts(
    firings: Firings, tokens: Tokens, chosen: Int[ndarray, " chosen"], d_sae: int
) -> tuple[Int[ndarray, "chosen place"], Float[ndarray, "chosen place"]]:
    """The tokens around some firings, and what their own feature read on each."""
    feature = firings.feature[chosen]
    centre = tokens.counted[firings.token[chosen]]
    place = centre[:, None] + np.arange(-BEFORE, AFTER + 1)
    bounded = np.clip(place, 0, len(tokens.ids) - 1)
    inside = (place == bounded) & (tokens.row[bounded] == tokens.row[centre][:, None])
    ids = np.where(inside, tokens.ids[bounded], NOTHING).astype(np.int32)
    # Firings are sorted by token and feature, so each one's neighbours are found by bisection.
    keys = tokens.counted[firings.token].astype(np.int64) * d_sae + firings.feature
    wanted = bounded.astype(np.int64) * d_sae + feature[:, None]
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    acts = np.where((keys[found] == wanted) & inside, firings.act[found], 0.0)
    return ids, np.minimum(acts, _HIGHEST).astype(np.float16)


class Window(NamedTuple):
    """One context as it is kept."""

    act: float
    row: int
    position: int
    ids: Int[ndarray, " place"]
    acts: Float[ndarray, " place"]


def pack(windows: list[Window]) -> bytes:
    """Some contexts in few bytes."""
    head = np.array([(w.act, w.row, w.position) for w in windows], dtype=np.float64)
    ids = np.stack([w.ids for w in windows]).astype(np.int32)
    acts = np.stack([w.acts for w in windows]).astype(np.float16)
    return zlib.compress(head.tobytes() + ids.tobytes() + acts.tobytes(), 6)


def unpack(packed: bytes) -> list[Window]:
    """What `pack` packed."""
    raw = zlib.decompress(packed)
    count = len(raw) // (24 + WIDTH * 6)
    head = np.frombuffer(raw, np.float64, count * 3).reshape(count, 3)
    ids = np.frombuffer(raw, np.int32, count * WIDTH, count * 24).reshape(count, WIDTH)
    acts = np.frombuffer(raw, np.float16, count * WIDTH, count * (24 + WIDTH * 4))
    return [
        Window(float(act), int(row), int(position), ids[i], acts.reshape(count, WIDTH)[i])
        for i, (act, row, position) in enumerate(head)
    ]
