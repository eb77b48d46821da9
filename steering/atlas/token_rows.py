"""A text as rows of tokens, in groups that depend on the text alone.

A document longer than a row is split; every row begins with BOS where the SAE was trained so, and
its position 0 is never counted, whatever it holds. Groups are what a build reads between two places
at which it can take up again, so they must come out the same each time.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from steering.models import LanguageModel

ROW_TOKENS = 256
"""The longest row; a shorter context makes it shorter."""

GROUP_TOKENS = 8192
_AT_ONCE = 64  # documents given to the tokenizer together


@dataclass(frozen=True)
class Group:
    """Some rows, and the place of the first in the whole text."""

    first: int
    rows: tuple[tuple[int, ...], ...]
    digest: str
    """Of every token up to the end of this group."""


def token_rows(
    model: LanguageModel, documents: Iterable[str], *, prepend_bos: bool
) -> Iterator[tuple[int, ...]]:
    """Every row of a text; those with no counted token are left out."""
    bos: Any = model.tokenizer.bos_token_id if prepend_bos else None
    room = min(ROW_TOKENS, model.n_ctx)
    several = iter(documents)
    while batch := list(islice(several, _AT_ONCE)):
        texts = [text for text in batch if text.strip()]
        encoded = model.tokenizer(texts, add_special_tokens=False, verbose=False) if texts else {}
        for ids in encoded.get("input_ids", ()):
            yield from _split(ids, bos, room, model.special_ids)


def _split(
    ids: Sequence[int], bos: int | None, room: int, special: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    own = ids[1:] if bos is not None and list(ids[:1]) == [bos] else ids
    first = () if bos is None else (bos,)
    width = room - len(first)
    for start in range(0, len(own), width):
        row = (*first, *own[start : start + width])
        if any(token not in special for token in row[1:]):
            yield row


def grouped(rows: Iterable[tuple[int, ...]]) -> Iterator[Group]:
    """Rows in groups of about `GROUP_TOKENS`."""
    held: list[tuple[int, ...]] = []
    size, first, digest = 0, 0, ""
    for row in rows:
        held.append(row)
        size += len(row)
        if size >= GROUP_TOKENS:
            digest = _chain(digest, held)
            yield Group(first, tuple(held), digest)
            held, size, first = [], 0, first + len(held)
    if held:
        yield Group(first, tuple(held), _chain(digest, held))


def _chain(before: str, rows: Sequence[tuple[int, ...]]) -> str:
    found = hashlib.sha256(before.encode())
    for row in rows:
        found.update(np.asarray((len(row), *row), dtype=np.int64).tobytes())
    return found.hexdigest()
