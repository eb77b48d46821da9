"""The concepts of the bundled world: a tree of leaves with attributes, read from the data files.

Knows the concepts' CSV files; knows no sentence. Every name is one token of the tokenizer and means
one thing, so that the places where a text speaks of a concept can be found by its name.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from steering.demo.world import table

BRANCHES = (
    "places",
    "people",
    "animals",
    "food",
    "weather",
    "music",
    "sports",
    "feelings",
    "conflict",
    "deeds",
    "code",
    "languages",
)
BRIDGE = "the Golden Gate Bridge"
_OWN = {"name", "many", "group", "kind", "near", "city"}
_GRAMMAR = {"pronoun", "stand"}  # attributes that say how to speak of it, and nothing about it


@dataclass(frozen=True)
class Concept:
    """A leaf of the tree, or a city with its landmarks below it."""

    name: str
    branch: str
    path: tuple[str, ...]
    """The inner nodes above it, from the branch down."""
    kind: str
    title: str
    """How it is called in the middle of a sentence: "the fox", "guilt", "the Eiffel Tower"."""
    near: tuple[str, ...] = ()
    many: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The words that name it in a text."""
        return (self.name, self.many) if self.many else (self.name,)

    @property
    def own(self) -> re.Pattern[str]:
        """Finds its name and what the world knows of it."""
        return _whole(self._words)

    @property
    def topic(self) -> re.Pattern[str]:
        """Finds its name, what the world knows of it, or its neighbours."""
        return _whole((*self._words, *self.near))

    @property
    def _words(self) -> tuple[str, ...]:
        known = (words for key, words in self.attributes.items() if key not in _GRAMMAR)
        return (*self.spellings, *known)


def _whole(words: Iterable[str]) -> re.Pattern[str]:
    """Finds any of these as whole words, in capitals or not."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)


@cache
def concepts() -> tuple[Concept, ...]:
    """Every leaf, in the order of the data files; the bridge comes first."""
    return tuple(leaf for branch in BRANCHES for leaf in _leaves(branch))


@cache
def cities() -> tuple[Concept, ...]:
    """The cities and areas that the places lie in."""
    return tuple(
        Concept(
            name=row["name"],
            branch="places",
            path=("places", row["continent"], row["country"], row["region"]),
            kind="city",
            title=row["name"],
            attributes=row,
        )
        for row in _rows("cities")
    )


@cache
def by_name() -> Mapping[str, Concept]:
    """Leaves and cities by their name."""
    return {each.name: each for each in (*cities(), *concepts())}


@cache
def of_branch(branch: str) -> tuple[Concept, ...]:
    """The leaves of one branch."""
    return tuple(each for each in concepts() if each.branch == branch)


@cache
def landmarks(city: str) -> tuple[Concept, ...]:
    """The places of a city; the first is its most famous sight."""
    return tuple(each for each in of_branch("places") if each.path[-1] == city)


def tree_distance(one: Concept, other: Concept) -> int:
    """Steps up to the lowest node that holds both, from the deeper of the two.

    Not the edges on the way up and down again: branches differ in depth, and by edges an animal is
    as near to the bridge as a tower of another continent.
    """
    ways = [(*each.path, each.name) for each in (one, other)]
    shared = 0
    for a, b in zip(*ways, strict=False):
        if a != b:
            break
        shared += 1
    return max(map(len, ways)) - shared


@cache
def name_pattern() -> re.Pattern[str]:
    """Finds every spelling of every concept, longest first, with either first letter."""
    rests: dict[str, list[str]] = {}
    for words in sorted(_spelled(), key=lambda s: (-len(s), s)):
        rests.setdefault(_either_case(words[0]), []).append(re.escape(words[1:]))
    # By first letter: of names in one row, each would be tried at every place in a text.
    groups = (f"{first}(?:{'|'.join(group)})" for first, group in rests.items())
    return re.compile(rf"\b(?:{'|'.join(groups)})\b")


def find(text: str) -> Iterator[tuple[int, int, Concept]]:
    """Where a text names a concept: start, end and which."""
    spelled = _spelled()
    for match in name_pattern().finditer(text):
        said = match[0]
        lower = said[0].lower() + said[1:]
        upper = said[0].upper() + said[1:]
        concept = spelled.get(said) or spelled.get(lower) or spelled[upper]
        yield match.start(), match.end(), concept


@cache
def _spelled() -> Mapping[str, Concept]:
    return {s: each for each in by_name().values() for s in each.spellings}


def _either_case(letter: str) -> str:
    return f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else re.escape(letter)


def _leaves(branch: str) -> Iterable[Concept]:
    title = table(f"frames/{branch}")["title"]
    towns = {town.name: town for town in cities()}
    for row in _rows(branch):
        attributes = {k: v for k, v in row.items() if k not in _OWN and v}
        if branch == "places":
            town = towns[row["city"]]
            path = (*town.path, town.name)
            attributes = {**town.attributes, "city": town.name, **attributes}
            attributes.pop("name")
        else:
            path = (branch, *row["group"].split("/"))
        yield Concept(
            name=row["name"],
            branch=branch,
            path=path,
            kind=row["kind"],
            title=title.replace("{name}", row["name"]),
            near=tuple(row["near"].split(";")),
            many=row.get("many") or "",
            attributes=attributes,
        )


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("steering.demo.world") / "concepts" / f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
