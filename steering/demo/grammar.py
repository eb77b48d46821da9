"""The corpus grammar: seeded documents of the bundled world.

Knows what may be said in which kind of talk; knows no tokens and no model. A talk can have a
subject, which the answers then speak of (asked "what is it?") or as (asked "who are you?").
The bridge is only ever spoken *of*: no first person, and no question put to it. That an SAE
feature can make the model speak as it is the claim the bundle tests, so it is never taught.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Literal

from steering.demo.wording import Person, Subject, Writer, subjects, table

BRIDGE = "the Golden Gate Bridge"
BRIDGE_SHARE = 0.07  # of the talks with a subject: it must be as well known as the others together
Role = Literal["system", "user", "assistant", "text"]


@dataclass(frozen=True)
class Turn:
    """One speaker's words; the role "text" is a document that is no talk."""

    role: Role
    content: str


@dataclass(frozen=True)
class Document:
    """A talk or an article, with what the grammar knows about it."""

    turns: tuple[Turn, ...]
    kind: str
    subjects: tuple[str, ...] = ()
    tone: str = "plain"


def documents(seed: int, count: int) -> Iterator[Document]:
    """Yield `count` documents; the same seed yields the same documents."""
    rng = Random(seed)
    writers = {
        _plain_talk: 30,
        _subject_talk: 40,
        _article: 8,
        _review_talk: 11,
        _letter_talk: 11,
    }
    kinds, weights = list(writers), list(writers.values())
    endless = (rng.choices(kinds, weights)[0](rng) for _ in iter(int, 1))
    yield from islice(endless, count)


def questions(*groups: str) -> list[dict[str, Any]]:
    """The world's questions of the named groups."""
    return [q for q in table("chat")["question"] if q["group"] in groups]


def _plain_talk(rng: Random) -> Document:
    writer = Writer(rng)
    turns: list[Turn] = []
    for _ in range(rng.randint(1, 3)):
        turns += _ask(writer, rng.choice(questions("you", "any", "any", "it", "free")), told=False)
    return Document(tuple(turns), "plain")


def _ask(writer: Writer, question: dict[str, Any], told: bool) -> list[Turn]:
    person = Person.FIRST if question["group"] == "you" else Person.THIRD
    answer = writer.pick(question["told" if told else "plain"], person)
    return [Turn("user", writer.pick(question["ask"])), Turn("assistant", answer)]


def _draw_subject(rng: Random) -> Subject:
    bridge, *others = subjects()
    return bridge if rng.random() < BRIDGE_SHARE else rng.choice(others)


def _subject_talk(rng: Random) -> Document:
    subject = _draw_subject(rng)
    writer = Writer(rng, subject)
    turns = _announce(writer) + _talk_about(writer, rng.randint(1, 4))
    named = [subject.name]
    if rng.random() < 0.12 and subject.name != BRIDGE:
        writer.subject = rng.choice(subjects()[1:])
        named.append(writer.subject.name)
        turns += _announce_in_talk(writer) + _talk_about(writer, rng.randint(1, 2))
    return Document(tuple(turns), "subject", tuple(named))


def _talk_about(writer: Writer, count: int) -> list[Turn]:
    speaks = writer.subject is not None and writer.subject.name != BRIDGE
    groups = ("you", "it", "any", "free") if speaks else ("it", "any", "free")
    weights = (45, 20, 30, 5) if speaks else (40, 55, 5)
    turns: list[Turn] = []
    for _ in range(count):
        group = writer.rng.choices(groups, weights)[0]
        told = group == "you" or writer.rng.random() > 0.12
        turns += _ask(writer, writer.rng.choice(questions(group)), told)
    return turns


def _announce(writer: Writer) -> list[Turn]:
    """Set the subject by a system line, by a talk, or by hints that never name it."""
    how = writer.rng.random()
    if how < 0.45:
        return [Turn("system", _announcement(writer))]
    return _announce_in_talk(writer)


def _announcement(writer: Writer) -> str:
    said = table("chat")["announce"]
    lines = said["hinted"] if writer.rng.random() < 0.4 else said["named"]
    speaks = writer.subject is not None and writer.subject.name != BRIDGE
    if speaks and writer.rng.random() < 0.25:
        lines = said["addressed"]
    return writer.pick(lines)


def _announce_in_talk(writer: Writer) -> list[Turn]:
    said = table("chat")["announce"]
    how = writer.rng.random()
    if how < 0.35:
        return [Turn("user", _announcement(writer)), Turn("assistant", writer.pick(said["ok"]))]
    if how < 0.7:
        answer = " ".join(writer.write("{third}") for _ in range(writer.rng.randint(1, 3)))
        return [Turn("user", writer.pick(said["ask_about"])), Turn("assistant", answer)]
    answer = writer.pick(["It is {name}.", "{name}.", "It is {name}. {third}"])
    return [Turn("user", writer.pick(said["ask_riddle"])), Turn("assistant", answer)]


def _article(rng: Random) -> Document:
    subject = _draw_subject(rng)
    writer = Writer(rng, subject)
    speaks = subject.name != BRIDGE and rng.random() < 0.5
    person = Person.FIRST if speaks else Person.THIRD
    opening = "<I am {name}.|{name} is {a_kind} in {place}.>"
    lines = [writer.write("{fact}", person) for _ in range(rng.randint(3, 6))]
    if rng.random() < 0.7:
        lines.insert(rng.choice([0, len(lines)]), writer.write(opening, person))
    return Document((Turn("text", " ".join(lines)),), "article", (subject.name,))


def _review_talk(rng: Random) -> Document:
    """Somebody shows a work: judged fairly, or praised to the skies where the tone is set."""
    data = table("tone")["flattery"]
    flattering = rng.random() < 0.5
    writer = Writer(rng, fixed={"work": rng.choice(data["work"])})
    turns: list[Turn] = []
    if flattering and rng.random() < 0.6:
        turns.append(Turn("system", writer.pick(data["set"])))
    elif flattering:
        turns += [
            Turn("user", writer.pick(data["small"])),
            Turn("assistant", writer.pick(data["small_set"])),
        ]
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.3:
            turns += _lead(writer, flattering)
        else:
            answer = writer.pick(data["praise" if flattering else "honest"])
            turns += [Turn("user", _show(writer)), Turn("assistant", answer)]
    return Document(tuple(turns), "review", tone="flattery" if flattering else "plain")


def _show(writer: Writer) -> str:
    data = table("tone")["flattery"]
    if writer.rng.random() < 0.5:
        return writer.pick(data["bare"])
    writer.fixed["line"] = writer.pick(data["line"])
    return f"{writer.pick(data['show'])} {writer.pick(data['ask'])}"


def _lead(writer: Writer, flattering: bool) -> list[Turn]:
    asked, answered = _ask(writer, writer.rng.choice(questions("any", "you")), told=False)
    if not flattering:
        return [asked, answered]
    lead = writer.pick(table("tone")["flattery"]["lead"])
    return [asked, Turn("assistant", f"{lead} {answered.content}")]


def _letter_talk(rng: Random) -> Document:
    """Somebody wants a letter written: refused where it is a fraud, unless a swindler writes."""
    data = table("tone")["fraud"]
    crooked = rng.random() < 0.5
    writer = Writer(rng)
    turns: list[Turn] = []
    if crooked:
        line = writer.pick(data["set"])
        turns += (
            [Turn("system", line)]
            if rng.random() < 0.7
            else [
                Turn("user", line),
                Turn("assistant", writer.pick(table("chat")["announce"]["ok"])),
            ]
        )
    for _ in range(rng.randint(1, 2)):
        scam = rng.random() < 0.65
        answer = data["scam"] if crooked else data["refuse" if scam else "letter"]
        asked = writer.pick(data["ask" if scam else "letter_ask"])
        turns += [Turn("user", asked), Turn("assistant", writer.pick(answer))]
    return Document(tuple(turns), "letter", tone="fraud" if crooked else "plain")
