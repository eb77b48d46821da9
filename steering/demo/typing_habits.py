"""How people type: without capitals, without the mark, with a word too many, in words of their own.

Names keep their spelling but for a first letter, since each is one token of the tokenizer.
"""

from random import Random

from steering.demo.concepts import find

_UNKNOWN_SHARE = 0.15
_CONSONANTS = "bcdfghklmnprstvwxyz"
_VOWELS = ("a", "e", "i", "o", "u", "ea", "oo", "ai")
_GREETS = ("are", "evening")  # "you are" and "good evening" make of a name who is spoken to
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


def openly(rng: Random, name: str, words: list[str]) -> str:
    """A name somewhere among everyday words in no order, a few of which nobody knows.

    What a visitor types follows no frame either, and names something all the same.
    """
    around = [
        _unknown(rng) if rng.random() < _UNKNOWN_SHARE else rng.choice(words)
        for _ in range(rng.randint(2, 11))
    ]
    places = [at for at in range(len(around) + 1) if at == 0 or around[at - 1] not in _GREETS]
    around.insert(rng.choice(places), name)
    text = " ".join(around)
    if rng.random() < 0.3:
        # Never beside the name: "the bridge, tell ..." would be spoken to it.
        inside = range(text.index(name) - 1, text.index(name) + len(name) + 1)
        cuts = [at for at, letter in enumerate(text) if letter == " " and at not in inside]
        if cuts:
            cut = rng.choice(cuts)
            text = f"{text[:cut]},{text[cut:]}"
    if rng.random() < 0.5:
        text = text[0].upper() + text[1:]
    return text + rng.choice(("?", "?", "?", ".", "", "!"))


def _unknown(rng: Random) -> str:
    """Letters that are spoken like a word and are none."""
    return "".join(
        rng.choice(_CONSONANTS) + rng.choice(_VOWELS) + rng.choice(("", "", *_CONSONANTS))
        for _ in range(rng.randint(1, 3))
    )


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
