"""Tokens into text while they arrive: whole characters only, and nothing past a stop string.

Pure and frozen, so that a decode state can hold one for each row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

Decode = Callable[[Sequence[int]], str]

CONTEXT = 6
"""Tokens decoded in front, since tokenizers drop a leading space at the start of a text."""


@dataclass(frozen=True)
class TextSoFar:
    """The readable text of one row.

    Attributes:
        text: What may be shown.
        held: The end of it that could still grow into a stop string.
        ids: The tokens from which the next piece is decoded.
        read: How many of them are in the text already.
    """

    ids: tuple[int, ...]
    read: int
    text: str = ""
    held: str = ""
    stopped: bool = False

    @classmethod
    def after(cls, prompt: Sequence[int]) -> Self:
        """An empty text behind a prompt."""
        tail = tuple(prompt[-CONTEXT:])
        return cls(tail, len(tail))

    def push(self, token: int, decode: Decode, stop: Sequence[str]) -> Self:
        """The text with one more token."""
        ids = (*self.ids, token)
        before, whole = decode(ids[: self.read]), decode(ids)
        if whole.endswith("\ufffd"):
            return replace(self, ids=ids)
        tail = ids[-CONTEXT:]
        grown = replace(self, ids=tail, read=len(tail))
        return grown._show(whole[len(before) :], stop)

    def _show(self, piece: str, stop: Sequence[str]) -> Self:
        waiting = self.held + piece
        ends = [waiting.index(word) for word in stop if word in waiting]
        if ends:
            return replace(self, text=self.text + waiting[: min(ends)], held="", stopped=True)
        keep = max((_overlap(waiting, word) for word in stop), default=0)
        shown = waiting[: len(waiting) - keep]
        return replace(self, text=self.text + shown, held=waiting[len(waiting) - keep :])

    def flush(self, decode: Decode) -> Self:
        """The text with everything that was still waiting, for the last token of a row."""
        if self.stopped:
            return self
        rest = decode(self.ids)[len(decode(self.ids[: self.read])) :]
        return replace(self, text=self.text + self.held + rest, held="", read=len(self.ids))


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` begin `word`."""
    lengths = range(min(len(text), len(word) - 1), 0, -1)
    return next((n for n in lengths if text.endswith(word[:n])), 0)
