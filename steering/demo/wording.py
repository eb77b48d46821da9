"""The small template language of the world's data files, and the words that fill it.

Knows how one template becomes one sentence; knows no documents. `[a|b]` is a free choice,
`<first|third>` follows the person who speaks, `{slot}` is filled by a subject or a word list.
"""

import csv
import re
import tomllib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_PERSON = re.compile(r"<([^<>|]*)\|([^<>|]*)>")
_SLOT = re.compile(r"\{(\w+)\}")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")


class Person(IntEnum):
    """Who a sentence about the subject is spoken by: the subject itself, or somebody else."""

    FIRST = 0
    THIRD = 1


@dataclass(frozen=True)
class Subject:
    """A thing a talk can be about; every name is one token of the tokenizer."""

    name: str
    kind: str
    place: str
    stand: str
    made: str
    colour: str
    air: str
    sound: str
    food: str
    near: tuple[str, ...]


@cache
def subjects() -> tuple[Subject, ...]:
    """Every subject of the world, in the order of the data file."""
    text = (files("steering.demo") / "world" / "entities.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(Subject(**{**row, "near": tuple(row["near"].split(";"))}) for row in rows)


@cache
def table(name: str) -> dict[str, Any]:
    """One TOML file of the world, by its stem."""
    return tomllib.loads((files("steering.demo") / "world" / f"{name}.toml").read_text("utf-8"))


@dataclass
class Writer:
    """Turns templates into sentences about one subject (or none) with one random stream."""

    rng: Random
    subject: Subject | None = None
    fixed: dict[str, str] = field(default_factory=dict)
    """Slots that keep one value for the whole document, as the work under review does."""

    def write(self, template: str, person: Person = Person.THIRD) -> str:
        """Fill one template and capitalise its sentences, unless it is typed in lower case."""
        text = self._expand(template, person)
        if template[:1].islower() and text[:1].islower():
            return text
        return _SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), text).strip()

    def pick(self, templates: list[str], person: Person = Person.THIRD) -> str:
        """Write one of several templates, chosen evenly."""
        return self.write(self.rng.choice(templates), person)

    def _expand(self, template: str, person: Person) -> str:
        near = self._neighbours()
        text = _SLOT.sub(lambda m: self._slot(m[1], person, near), template)
        text = _PERSON.sub(lambda m: m[person + 1], text)
        while _CHOICE.search(text):
            text = _CHOICE.sub(lambda m: self.rng.choice(m[1].split("|")), text)
        return text

    def _neighbours(self) -> dict[str, str]:
        if self.subject is None:
            return {}
        first, second = self.rng.sample(self.subject.near, 2)
        return {"near": first, "near2": second}

    def _slot(self, name: str, person: Person, near: dict[str, str]) -> str:
        if name in near:
            return near[name]
        if name in self.fixed:
            return self.fixed[name]
        if name in ("fact", "third"):
            speaker = person if name == "fact" else Person.THIRD
            return self.pick(table("chat")["facts"]["lines"], speaker)
        if name == "a_kind":
            return _with_article(self._about("kind"))
        if name in Subject.__dataclass_fields__:
            return self._about(name)
        return self.rng.choice(table("chat")["fill"][name])

    def _about(self, name: str) -> str:
        return "thing" if self.subject is None else str(getattr(self.subject, name))


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
