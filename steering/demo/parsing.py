"""The grammar read backwards: is a sentence one that the world's frames can write?

Knows the frames and what may fill their slots; knows no document and no model. A sentence is
grammatical when some frame matches it and every slot holds words that some concept puts there; that
the slots belong to one and the same concept is a question of truth, and not asked here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from steering.demo.concepts import BRANCHES, Concept, by_name, cities, landmarks, of_branch
from steering.demo.wording import SLOT, slot_words
from steering.demo.world import table

_BOUNDARY = re.compile(r"(?<=[.!?]) +")
_WHOLE = frozenset({"fact", "third"})  # slots that are sentences of their own
_TONE_KEYS = ("hint", "other", "lead", "line")
_PIECES = re.compile(r"(\{\w+\}|[\[\]<>|])")
_OPEN = re.compile(r"\[[^\[\]]*\]|<[^<>]*>|\{\w+\}")  # what can become this or that
_NEVER = "(?!)"
_WORD = re.compile(r"(?<![\w\0])\w+(?![\w\0])")
_MARKS = {"[": "(?:", "<": "(?:", "|": "|", "]": ")", ">": ")"}


@dataclass(frozen=True)
class Frame:
    """One sentence with slots, and the branches whose words they may hold."""

    template: str
    branches: tuple[str, ...]

    def writes(self, sentence: str) -> bool:
        """Whether this frame can have written the sentence."""
        if self._shape.fullmatch(sentence) is None:
            return False
        # Only now the words: a pattern with all that a slot can hold would be slow to make.
        said, words = sentence.lower(), _slot_values(self.branches)
        held = {
            slot: "|".join(re.escape(word) for word in words.get(slot, ()) if word in said)
            for slot in SLOT.findall(self.template)
        }
        return _pattern(self.template, held).fullmatch(sentence) is not None

    @cached_property
    def _shape(self) -> re.Pattern[str]:
        return _pattern(self.template, dict.fromkeys(SLOT.findall(self.template), ".+?"))


def sentences(text: str) -> list[str]:
    """A text in sentences; code is one piece."""
    if "\n" in text.strip():
        return [text.strip()]
    return [part for part in _BOUNDARY.split(text.strip()) if part]


def is_grammatical(sentence: str) -> bool:
    """Whether the world's grammar can write the sentence."""
    words = {"", *_WORD.findall(sentence.lower())}
    return any(frame.writes(sentence) for word in words for frame in _by_word().get(word, ()))


@cache
def frames() -> tuple[Frame, ...]:
    """Every sentence frame that an answer or an article can be made of, each once."""
    found: dict[Frame, None] = {}
    for branches, template in _templates():
        for sentence in split_template(template):
            found[Frame(sentence, branches)] = None
    return tuple(found)


@cache
def _by_word() -> Mapping[str, list[Frame]]:
    """The frames by the longest word that is in all they write; by "" where there is none."""
    found: dict[str, list[Frame]] = {}
    for frame in frames():
        fixed = frame.template.lower()
        while _OPEN.search(fixed):
            fixed = _OPEN.sub("\0", fixed)
        found.setdefault(max(_WORD.findall(fixed), key=len, default=""), []).append(frame)
    return found


def split_template(template: str) -> list[str]:
    """The sentence templates in a template; a choice between sentences is one frame each."""
    if "\n" in template:
        return [template]
    done: dict[str, None] = {}
    for text in _without_sentence_choices(template):
        for part in _split_outside_brackets(text):
            bare = part.strip()
            if bare and not (bare.startswith("{") and bare.strip("{}.") in _WHOLE):
                done[bare] = None
    return list(done)


def _without_sentence_choices(template: str) -> Iterator[str]:
    for start, end in _groups(template):
        options = _options(template[start + 1 : end])
        if any(option.rstrip().endswith((".", "!", "?")) for option in options):
            for option in options:
                yield from _without_sentence_choices(
                    template[:start] + option + template[end + 1 :]
                )
            return
    yield template


def _groups(template: str) -> Iterator[tuple[int, int]]:
    """Where each outermost choice begins and ends."""
    depth = start = 0
    for at, character in enumerate(template):
        if character == "[":
            start = at if depth == 0 else start
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                yield start, at


def _options(inside: str) -> list[str]:
    parts, depth = [""], 0
    for character in inside:
        depth += {"[": 1, "<": 1, "]": -1, ">": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _split_outside_brackets(text: str) -> list[str]:
    parts, depth = [""], 0
    for at, character in enumerate(text):
        depth += {"[": 1, "<": 1, "]": -1, ">": -1}.get(character, 0)
        if character == " " and depth == 0 and at and text[at - 1] in ".!?}":
            whole = text[at - 1] == "}" and parts[-1].strip().strip("{}") in _WHOLE
            if text[at - 1] != "}" or whole:
                parts.append("")
                continue
        parts[-1] += character
    return parts


def _pattern(template: str, held: Mapping[str, str]) -> re.Pattern[str]:
    """The template as a pattern, in which a slot matches what it holds, or nothing at all."""
    pattern = ""
    for piece in _PIECES.split(template):
        if piece in _MARKS:
            pattern += _MARKS[piece]
        elif piece.startswith("{"):
            pattern += f"(?:{held[piece[1:-1]] or _NEVER})"
        else:
            pattern += re.escape(piece)
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@cache
def _slot_values(branches: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """What each slot may hold in the frames of these branches."""
    found: dict[str, set[str]] = {k: set(v) for k, v in table("chat")["fill"].items()}
    found["work"] = set(table("tones")["flattery"]["work"])
    for branch in branches:
        for concept in of_branch(branch):
            _add_concept(found, concept)
    if "places" in branches:
        for town in cities():
            found.setdefault("city", set()).add(town.name)
            for key, value in town.attributes.items():
                found.setdefault(key, set()).add(value)
            sights = [sight.name for sight in landmarks(town.name)]
            found.setdefault("chief", set()).update(sights)
            found.setdefault("other", set()).update(sights)
    return {slot: frozenset(v.lower() for v in words) for slot, words in found.items()}


def _add_concept(found: dict[str, set[str]], concept: Concept) -> None:
    slots = {"name", "title", "kind", "a_kind", *concept.attributes}
    slots |= {"many"} if concept.many else set()
    slots |= {"his", "him"} if "pronoun" in concept.attributes else set()
    for slot in slots:
        found.setdefault(slot, set()).update(slot_words(concept, slot))
    for slot in ("near", "near2"):
        found.setdefault(slot, set()).update(by_name()[name].title for name in concept.near)


def _templates() -> Iterator[tuple[tuple[str, ...], str]]:
    """Everything that is said (not asked), with the branches whose words fill it."""
    for question in table("chat")["question"]:
        fitting = tuple(question.get("branches", BRANCHES))
        for template in (*question["plain"], *question.get("told", ())):
            yield fitting, template
    for answers in table("asks").values():
        for template in answers["plain"]:
            yield BRANCHES, template
    for template in table("chat")["announce"]["ok"]:
        yield BRANCHES, template
    for tone in table("tones").values():
        for key in _TONE_KEYS:
            for template in tone.get(key, ()):
                yield BRANCHES, template
        for group in tone["group"]:
            for template in (*group["plain"], *group["told"]):
                yield BRANCHES, template
    for kind in table("kinds")["kind"]:
        fitting = BRANCHES if kind["branches"] == ["*"] else tuple(kind["branches"])
        for template in (*kind["open"], *kind["body"], *kind["close"]):
            yield fitting, template
    for branch in BRANCHES:
        yield from (((branch,), template) for template in _branch_templates(branch))


def _branch_templates(branch: str) -> Iterator[str]:
    data = table(f"frames/{branch}")
    yield from ("{title}.", "It is {title}.")
    for key, value in data.items():
        if key in ("facts", "named") or key.endswith("_lines"):
            yield from value
    for question in (*data["question"], *data.get("city", ())):
        yield from question["told"]
    for group in ("you", "any"):
        for templates in data[group].values():
            yield from templates
