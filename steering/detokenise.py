"""Tokens into text while they arrive: whole characters only, and nothing past a stop string.

Pure and frozen, so that a decode state can hold one for each row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class TextSoFar:
    """The readable text of one row.

    A piece is decoded behind the one before it, since tokenizers drop a leading space at the start
    of a text; behind it whole, since a few tokens could begin in the middle of a character.

    Attributes:
        text: What may be shown.
        held: The end of it that could still grow into a stop string.
        ids: The tokens from which the next piece is decoded.
        read: How many of them are in the text already: the piece before, or at first the prompt.
    """

    ids: tuple[int, ...]
    read: int
    text: str = ""
    held: str = ""
    stopped: bool = False

    @classmethod
    def after(cls, prompt: Sequence[int]) -> Self:
        """An empty text behind a prompt."""
        return cls(tuple(prompt), len(prompt))

    def push(self, token: int, decode: Decode, stop: Sequence[str]) -> Self:
        """The text with one more token."""
        ids = (*self.ids, token)
        before, whole = decode(ids[: self.read]), decode(ids)
        # A token that adds nothing (a special one, say) is no context: behind it alone the next
        # one would lose its space.
        if len(whole) == len(before) or whole.endswith("\ufffd"):
            return replace(self, ids=ids)
        chunk = ids[self.read :]
        grown = replace(self, ids=chunk, read=len(chunk))
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


def pieces(ids: Sequence[int], decode: Decode) -> list[str]:
    """One piece of the text for each token; a character that spans several belongs to the last."""
    found: list[str] = []
    before: list[int] = []
    waiting: list[int] = []
    for token in ids:
        waiting.append(token)
        whole = decode([*before, *waiting])
        if whole.endswith("\ufffd"):
            found.append("")
            continue
        found.append(whole[len(decode(before)) :])
        before, waiting = waiting, []
    if waiting:
        found[-1] = decode([*before, *waiting])[len(decode(before)) :]
    return found


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` begin `word`."""
    lengths = range(min(len(text), len(word) - 1), 0, -1)
    return next((n for n in lengths if text.endswith(word[:n])), 0)
