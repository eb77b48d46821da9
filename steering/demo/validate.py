"""`python -m steering.demo.validate`: is the world's data whole? Names every problem it finds.

Run it after every edit of a file in `world/`: it takes seconds, and training an hour.
"""

import re
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import typer

from steering.demo.concepts import BRANCHES, BRIDGE, by_name, cities, concepts, landmarks, of_branch
from steering.demo.grammar import TONES, documents
from steering.demo.parsing import frames
from steering.demo.wording import SLOT, Person, Writer
from steering.demo.world import table

LEAST_CONCEPTS, LEAST_KINDS, LEAST_FRAMES = 600, 40, 2_000
_LISTS = ("facts", "named", "hinted")
_FIRST = re.compile(r"\b(?:I|me|my|mine|we|us|our)\b")
_EXAMPLES = 3


def main() -> None:
    """Print what is wrong, or how large the world is."""
    found = list(problems())
    for problem in found:
        typer.echo(problem)
    if found:
        raise typer.Exit(1)
    typer.echo(
        f"{len(concepts())} leaf concepts and {len(cities())} cities in {len(BRANCHES)} branches, "
        f"{len(table('kinds')['kind'])} kinds of document, {len(frames())} sentence frames, "
        f"{len(TONES)} tones"
    )


def problems() -> Iterator[str]:
    """Everything that would make the grammar fail, or write what it must not."""
    yield from _sizes()
    yield from _names()
    for branch in BRANCHES:
        yield from _branch(branch)
    yield from _kinds()
    yield from _tones()
    if concepts()[0].name != BRIDGE:
        yield f"places.csv: the first row is {concepts()[0].name!r}; {BRIDGE!r} has to be"
    marks = [
        t.content for d in documents(1, 300) for t in d.turns if re.search(r"[\[\]{}]", t.content)
    ]
    yield from (f"template marks are left in {text!r}" for text in marks[:_EXAMPLES])


def _sizes() -> Iterator[str]:
    sizes = (
        ("leaf concepts", len(concepts()), LEAST_CONCEPTS),
        ("kinds of document", len(table("kinds")["kind"]), LEAST_KINDS),
        ("sentence frames", len(frames()), LEAST_FRAMES),
    )
    for what, size, least in sizes:
        if size < least:
            yield f"{size} {what}; there have to be at least {least}"


def _names() -> Iterator[str]:
    spelled = [s.lower() for each in (*concepts(), *cities()) for s in each.spellings]
    for name, times in Counter(spelled).items():
        if times > 1:
            yield f"the name {name!r} stands for {times} concepts"
    for each in concepts():
        unknown = [near for near in each.near if near not in by_name()]
        if unknown or len(each.near) != 3:
            yield f"{each.branch}.csv: {each.name!r} needs three neighbours, not {each.near}"
    for town in cities():
        if not landmarks(town.name):
            yield f"cities.csv: {town.name!r} has no place"


def _branch(branch: str) -> Iterator[str]:
    data = table(f"frames/{branch}")
    asked = {q["id"] for q in table("chat")["question"] if q["group"] in ("you", "any")}
    missing = asked - set(data["you"]) - set(data["any"])
    if missing:
        yield f"frames/{branch}.toml: no answers for {', '.join(sorted(missing))}"
    templates = [*(t for key in _LISTS for t in data[key])]
    templates += [t for q in data["question"] for t in (*q["ask"], *q["told"])]
    templates += [t for group in ("you", "any") for each in data[group].values() for t in each]
    for template in templates:
        yield from _fillable(f"frames/{branch}.toml", template, branch)
    third = [*data["named"], *(t for each in data["any"].values() for t in each)]
    for template in third:
        if _FIRST.search(template):
            yield f"frames/{branch}.toml: first person where nobody speaks as it: {template!r}"


def _kinds() -> Iterator[str]:
    for kind in table("kinds")["kind"]:
        for branch in BRANCHES if kind["branches"] == ["*"] else kind["branches"]:
            for template in (*kind["open"], *kind["body"], *kind["close"]):
                yield from _fillable(f"kinds.toml, {kind['name']}", template, branch)
                if kind["person"] == "third" and _FIRST.search(template):
                    yield f"kinds.toml, {kind['name']}: first person in {template!r}"


def _fillable(where: str, template: str, branch: str) -> Iterator[str]:
    if template.count("[") != template.count("]") or template.count("<") != template.count(">"):
        yield f"{where}: brackets do not match in {template!r}"
        return
    for concept in of_branch(branch)[:_EXAMPLES]:
        try:
            text = Writer(Random(0), concept).write(template, Person.THIRD)
        except KeyError as error:
            yield f"{where}: no slot {error} in {template!r}"
            return
        if SLOT.search(text) or re.search(r"[\[\]<>|]", text):
            yield f"{where}: {template!r} leaves {text!r}"
            return


def _tones() -> Iterator[str]:
    for name in TONES:
        tone = table("tones")[name]
        marks = re.compile("|".join(map(re.escape, tone["marks"])), re.IGNORECASE)
        writer = Writer(Random(0), fixed=_fixed(tone))
        for group in tone["group"]:
            for template in group["told"]:
                texts = [writer.write(template) for _ in range(20)]
                if not all(marks.search(text) for text in texts):
                    yield f"tones.toml, {name}: no mark of the tone in {template!r}"
            for template in (*group["plain"], *tone["other"]):
                if any(marks.search(writer.write(template)) for _ in range(20)):
                    yield f"tones.toml, {name}: a mark of the tone in the plain {template!r}"


def _fixed(tone: dict[str, Any]) -> dict[str, str]:
    return {"work": "poem", "line": "The moon is a lamp."} if "work" in tone else {}


if __name__ == "__main__":
    typer.run(main)
