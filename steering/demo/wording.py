"""The small template language of the world's data files, and the words that fill it.

Knows how one template becomes one sentence; knows no documents. `[a|b]` is a free choice,
`<first|third>` follows the person who speaks, `{slot}` is filled by a concept or a word list.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

from steering.demo.concepts import BRIDGE, Concept, by_name
from steering.demo.world import table

CHOICE = re.compile(r"\[([^\[\]]*)\]")
PERSON = re.compile(r"<([^<>|]*)\|([^<>|]*)>")
SLOT = re.compile(r"\{(\w+)\}")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")
_SAYS_A_NAME = 0.5  # share of sentences about a subject that name it, where nobody speaks as it


class Person(IntEnum):
    """Who a sentence about the subject is spoken by: the subject itself, or somebody else."""

    FIRST = 0
    THIRD = 1


@dataclass
class Writer:
    """Turns templates into sentences about one subject (or none) with one random stream."""

    rng: Random
    subject: Concept | None = None
    fixed: dict[str, str] = field(default_factory=dict)
    """Slots that keep one value for the whole document, as the work under review does."""

    def write(self, template: str, person: Person = Person.THIRD) -> str:
        """Fill one template and capitalise its sentences; code stays as it is."""
        text = self._expand(template, person)
        if "\n" in text:  # code
            return text.strip()
        return _SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), text).strip()

    def pick(self, templates: list[str], person: Person = Person.THIRD) -> str:
        """Write one of several templates, chosen evenly."""
        return self.write(self.rng.choice(templates), person)

    def type(self, templates: list[str]) -> str:
        """What a person types: as written, or in lower case where the template is."""
        return self._expand(self.rng.choice(templates), Person.THIRD).strip()

    def fact(self, person: Person = Person.THIRD) -> str:
        """One sentence about the subject."""
        assert self.subject is not None
        frames = table(f"frames/{self.subject.branch}")
        lines = frames["facts"]
        if person == Person.THIRD and self.rng.random() < _SAYS_A_NAME:
            lines = frames["named"]
            side = self.subject.path[1] + "_lines"
            if side in frames and self.rng.random() < _SAYS_A_NAME:
                lines = frames[side]
        return self.pick(lines, person)

    def _expand(self, template: str, person: Person) -> str:
        near = self._neighbours(person)
        text = PERSON.sub(lambda m: m[person + 1], template)
        text = SLOT.sub(lambda m: self._slot(m[1], person, near), text)
        while CHOICE.search(text):
            text = CHOICE.sub(lambda m: self.rng.choice(m[1].split("|")), text)
        return text

    def _neighbours(self, person: Person) -> dict[str, str]:
        if self.subject is None or not self.subject.near:
            return {}
        # The bridge's name stands in no sentence in the first person, not even a neighbour's.
        others = [n for n in self.subject.near if person == Person.THIRD or n != BRIDGE]
        first, second = (by_name()[name].title for name in self.rng.sample(others, 2))
        return {"near": first, "near2": second}

    def _slot(self, name: str, person: Person, near: dict[str, str]) -> str:
        if name in near:
            return near[name]
        if name in self.fixed:
            return self.fixed[name]
        if name in ("fact", "third"):
            return self.fact(person if name == "fact" else Person.THIRD)
        words = slot_words(self.subject, name)
        return words[0] if len(words) == 1 else self.rng.choice(words)


def slot_words(subject: Concept | None, name: str) -> tuple[str, ...]:
    """Everything a slot can become where a talk has this subject (or none).

    Raises:
        KeyError: Neither the subject nor a word list has it.
    """
    if subject is not None:
        if name in ("name", "title", "kind", "many"):
            return (getattr(subject, name),)
        if name == "a_kind":
            return (with_article(subject.kind),)
        if name in ("his", "him"):
            return (
                {"he": ("his", "him"), "she": ("her", "her")}[_pronoun(subject)][name == "him"],
            )
        if name in subject.attributes:
            return (subject.attributes[name],)
    return tuple(table("chat")["fill"][name])


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _pronoun(subject: Concept) -> str:
    return subject.attributes["pronoun"]
