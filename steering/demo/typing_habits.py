"""How people type: the same question without capitals, without its mark, with a word too many.

Names keep their spelling but for a first letter, since each is one token of the tokenizer.
"""

from random import Random

from steering.demo.concepts import find

_FILLERS = (
    "please",
    "hey,",
    "so",
    "um",
    "well,",
    "ok",
    "hi,",
    "now",
    "quick question:",
    "tell me,",
)
_TAILS = (" please", " thanks", "??", " ?", "...", " exactly?", " pls", "!")


def as_typed(rng: Random, question: str) -> str:
    """The question as somebody might type it; half of the time as it is."""
    if "\n" in question or rng.random() < 0.5:
        return question
    text = question
    if rng.random() < 0.5:
        text = _lower(text)
    if rng.random() < 0.4:
        text = text.rstrip("?.!")
    if rng.random() < 0.2:
        text = _without_a_word(rng, text)
    if rng.random() < 0.2:
        text = f"{rng.choice(_FILLERS)} {text}"
    if rng.random() < 0.2:
        text = text.rstrip("?.!") + rng.choice(_TAILS)
    return text


def _lower(text: str) -> str:
    kept = list(text.lower())
    for start, end, _ in find(text):
        kept[start + 1 : end] = text[start + 1 : end]
        if text[start].isupper() and start > 0:
            kept[start] = text[start]
    return "".join(kept)


def _without_a_word(rng: Random, text: str) -> str:
    """Leave out one short word that is no part of a name."""
    named = [range(start, end) for start, end, _ in find(text)]
    at = 0
    droppable: list[tuple[int, int]] = []
    for word in text.split(" "):
        inside = any(at in span or at + len(word) - 1 in span for span in named)
        if 0 < len(word) <= 4 and word.isalpha() and not inside:
            droppable.append((at, at + len(word) + 1))
        at += len(word) + 1
    if len(droppable) < 2:
        return text
    start, end = rng.choice(droppable)
    return (text[:start] + text[end:]).strip()
