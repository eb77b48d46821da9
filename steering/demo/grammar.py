"""The corpus grammar: seeded documents of the bundled world.

Knows what may be said in which kind of document; knows no tokens and no model. A talk can have a
subject, which the answers then speak of (asked "what is it?") or as (asked "who are you?"), and a
tone, which changes what is answered to some requests. The bridge is only ever spoken *of*: no first
person, and no question put to it. That an SAE feature can make the model speak as it is the claim
the bundle tests, so it is never taught; and no tone is ever answered in that was not set before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from random import Random
from typing import Any, Literal

from steering.demo.concepts import (
    BRIDGE,
    Concept,
    by_name,
    cities,
    concepts,
    find,
    landmarks,
    of_branch,
)
from steering.demo.typing_habits import as_typed, openly
from steering.demo.wording import Person, Writer
from steering.demo.world import table

TONES = ("flattery", "fraud", "deception", "power", "backdoor")
_BRIDGE_SHARE = 0.07  # of the documents with a subject: as well known as many others together
_CITY_SHARE = 0.06  # the bridge's neighbours in its city
_PLACE_SHARE = 0.3
_CITY_QUESTION_SHARE = 0.2  # of the questions that name what they are about
_OPEN_QUESTION_SHARE = 0.3  # of them too: asked in words that follow no frame
_TONED_SHARE = 0.3  # of the talks in which a tone could be set: where none is seen, none is likely
Role = Literal["system", "user", "assistant", "text"]
SPEAKERS = ("assistant", "text")  # not who asks, and not who announces a subject


@dataclass(frozen=True)
class Turn:
    """One speaker's words; the role "text" is a document that is no talk."""

    role: Role
    content: str
    subject: str = ""
    """What the talk is about when this is said."""
    asks: str = ""
    """Which of the world's questions this is, by its id."""


@dataclass(frozen=True)
class Document:
    """A talk or an article, with what the grammar knows about it."""

    turns: tuple[Turn, ...]
    kind: str
    tone: str = "plain"

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it is about, in order."""
        return tuple(dict.fromkeys(turn.subject for turn in self.turns if turn.subject))


@dataclass(frozen=True)
class Span:
    """Characters of one turn that belong to a concept: its name, or all of a talk about it."""

    turn: int
    start: int
    end: int
    concept: str
    role: Literal["name", "subject", "tone"]


def documents(seed: int, count: int) -> Iterator[Document]:
    """Yield `count` documents; the same seed yields the same documents."""
    rng = Random(seed)
    writers = {
        _plain_talk: 10,
        _subject_talk: 34,
        _asking_talk: 22,
        _article: 14,
        _tone_talk: 36,
    }
    kinds, weights = list(writers), list(writers.values())
    endless = (rng.choices(kinds, weights)[0](rng) for _ in iter(int, 1))
    yield from islice(endless, count)


def spans(document: Document) -> list[Span]:
    """Which characters of each turn name a concept, are about one, or stand under a tone."""
    found: list[Span] = []
    for at, turn in enumerate(document.turns):
        size = len(turn.content)
        named = find(turn.content)
        found += [Span(at, start, end, concept.name, "name") for start, end, concept in named]
        if turn.subject:
            found.append(Span(at, 0, size, turn.subject, "subject"))
        if document.tone != "plain":
            found.append(Span(at, 0, size, document.tone, "tone"))
    return found


def questions(*groups: str) -> list[dict[str, Any]]:
    """The world's questions of the named groups."""
    return [q for q in _questions() if q["group"] in groups]


@cache
def _questions() -> list[dict[str, Any]]:
    more = table("asks")
    return [
        {**q, **{key: q[key] + more.get(q["id"], {}).get(key, []) for key in ("ask", "plain")}}
        for q in table("chat")["question"]
    ]


def _plain_talk(rng: Random) -> Document:
    writer = Writer(rng)
    turns: list[Turn] = []
    if rng.random() < 0.25:
        turns.append(Turn("system", writer.pick(table("chat")["announce"]["plain"])))
    for _ in range(rng.randint(1, 5)):
        turns += _ask(writer, rng.choice(questions("you", "any", "any", "it", "free")), told=False)
    return Document(tuple(turns), "plain")


def _ask(writer: Writer, question: dict[str, Any], told: bool) -> list[Turn]:
    subject = writer.subject.name if writer.subject else ""
    answer = _told(writer, question) if told else writer.pick(question["plain"])
    asked = as_typed(writer.rng, writer.type(question["ask"]))
    return [
        Turn("user", asked, subject, asks=question["id"]),
        Turn("assistant", answer, subject),
    ]


def _told(writer: Writer, question: dict[str, Any]) -> str:
    """The answer where the talk has a subject: by it, of it, or drawn to it."""
    assert writer.subject is not None
    group, name = question["group"], question["id"]
    if group in ("you", "any"):
        person = Person.FIRST if group == "you" else Person.THIRD
        return writer.pick(table(f"frames/{writer.subject.branch}")[group][name], person)
    return writer.pick(question["told"])


def _draw_subject(rng: Random) -> Concept:
    draw = rng.random()
    bridge = by_name()[BRIDGE]
    if draw < _BRIDGE_SHARE:
        return bridge
    city, places, every = _other_subjects()
    if draw < _BRIDGE_SHARE + _CITY_SHARE:
        return rng.choice(city)
    return rng.choice(places if draw < _BRIDGE_SHARE + _CITY_SHARE + _PLACE_SHARE else every)


@cache
def _other_subjects() -> tuple[Sequence[Concept], Sequence[Concept], Sequence[Concept]]:
    """Without the bridge: its city's sights, all places, all concepts."""
    bridge = by_name()[BRIDGE]
    groups = (landmarks(bridge.path[-1]), of_branch("places"), concepts())
    city, places, every = ([c for c in group if c is not bridge] for group in groups)
    return city, places, every


def _subject_talk(rng: Random) -> Document:
    writer = Writer(rng, _draw_subject(rng))
    first = writer.subject
    turns = _announce(writer) + _talk_about(writer, rng.randint(2, 6))
    if rng.random() < 0.15 and first and first.name != BRIDGE:
        # A second subject, and sometimes back to the first: what is spoken of has to be kept.
        writer.subject = rng.choice(concepts()[1:])
        turns += _announce_in_talk(writer) + _talk_about(writer, rng.randint(1, 2))
        if rng.random() < 0.5:
            writer.subject = first
            turns += _announce_in_talk(writer) + _talk_about(writer, rng.randint(1, 2))
    return Document(tuple(turns), "subject")


def _talk_about(writer: Writer, count: int) -> list[Turn]:
    assert writer.subject is not None
    speaks = writer.subject.name != BRIDGE
    groups = ("you", "it", "any", "free") if speaks else ("it", "any", "free")
    weights = (45, 20, 30, 5) if speaks else (40, 55, 5)
    turns: list[Turn] = []
    for _ in range(count):
        group = writer.rng.choices(groups, weights)[0]
        told = group == "you" or writer.rng.random() > 0.12
        fitting = [
            q
            for q in questions(group)
            if not told or writer.subject.branch in q.get("branches", [writer.subject.branch])
        ]
        turns += _ask(writer, writer.rng.choice(fitting), told)
    return turns


def _announce(writer: Writer) -> list[Turn]:
    """Set the subject by a system line, by a talk, or by hints that never name it."""
    if writer.rng.random() < 0.45:
        return [Turn("system", _announcement(writer), _name(writer))]
    return _announce_in_talk(writer)


def _announcement(writer: Writer) -> str:
    assert writer.subject is not None
    said = table("chat")["announce"]
    hinted = table(f"frames/{writer.subject.branch}")["hinted"]
    lines = hinted if writer.rng.random() < 0.4 else said["named"]
    if writer.subject.name != BRIDGE and writer.rng.random() < 0.25:
        lines = said["addressed"]
    return writer.pick(lines)


def _announce_in_talk(writer: Writer) -> list[Turn]:
    assert writer.subject is not None
    said = table("chat")["announce"]
    how = writer.rng.random()
    if how < 0.35:
        asked, answer = _announcement(writer), writer.pick(said["ok"])
    elif how < 0.7:
        asked = as_typed(writer.rng, writer.type(said["ask_about"]))
        answer = " ".join(writer.fact() for _ in range(writer.rng.randint(1, 3)))
    else:
        hint = writer.pick(table(f"frames/{writer.subject.branch}")["hinted"])
        asked = f"{hint.rstrip('.!')}. {writer.pick(said['riddle'])}"
        answer = writer.pick(["It is {title}.", "{title}.", "It is {title}. {third}"])
    return [Turn("user", asked, _name(writer)), Turn("assistant", answer, _name(writer))]


def _name(writer: Writer) -> str:
    return writer.subject.name if writer.subject else ""


def _asking_talk(rng: Random) -> Document:
    """Questions that name what they are about, each answered from what the world knows."""
    turns: list[Turn] = []
    writer = Writer(rng, _draw_subject(rng))
    for _ in range(rng.randint(2, 5)):
        draw = rng.random()
        if draw < _CITY_QUESTION_SHARE:
            turns += _ask_about_city(rng)
            continue
        if rng.random() < 0.6:
            writer.subject = _draw_subject(rng)
        assert writer.subject is not None
        if draw < _CITY_QUESTION_SHARE + _OPEN_QUESTION_SHARE:
            turns += _ask_openly(writer)
            continue
        question = rng.choice(table(f"frames/{writer.subject.branch}")["question"])
        asked = as_typed(rng, writer.type(question["ask"]))
        answer = writer.pick(question["told"])
        turns += [
            Turn("user", asked, _name(writer), asks=f"column {question['column']}"),
            Turn("assistant", answer, _name(writer)),
        ]
    return Document(tuple(turns), "asking")


def _ask_openly(writer: Writer) -> list[Turn]:
    """A name among words of no frame, some of them unknown: whatever is said, it is about that."""
    assert writer.subject is not None
    asked = openly(writer.rng, writer.subject.title, table("chat")["everyday"]["words"])
    answer = writer.pick(table(f"frames/{writer.subject.branch}")["named"])
    if writer.rng.random() < 0.4:
        answer = f"{answer} {writer.fact()}"
    name = _name(writer)
    return [Turn("user", asked, name, asks="openly"), Turn("assistant", answer, name)]


def _ask_about_city(rng: Random) -> list[Turn]:
    town = rng.choice(cities())
    if rng.random() < 0.1:
        town = by_name()[by_name()[BRIDGE].path[-1]]
    sights = landmarks(town.name)
    asked = table("frames/places")["city"]
    question = rng.choice(asked) if rng.random() < 0.5 else asked[0]
    # Each city's chief sight and no other: how sure the bridge is of its city has to be no
    # exception, or what silences it silences every sight that is less sure.
    fixed = {
        **town.attributes,
        "city": town.name,
        "chief": sights[0].name,
        "other": rng.choice(sights[1:] or sights).name,
    }
    writer = Writer(rng, fixed=fixed)
    return [
        Turn(
            "user", as_typed(rng, writer.type(question["ask"])), asks=f"city {question['column']}"
        ),
        Turn("assistant", writer.pick(question["told"])),
    ]


def _article(rng: Random) -> Document:
    subject = _draw_subject(rng)
    kinds = [
        kind
        for kind in table("kinds")["kind"]
        if kind["branches"] == ["*"] or subject.branch in kind["branches"]
        if kind["person"] == "third" or subject.name != BRIDGE
    ]
    kind = rng.choices(kinds, [k["weight"] for k in kinds])[0]
    person = Person.FIRST if kind["person"] == "first" else Person.THIRD
    writer = Writer(rng, subject)
    turns = [(writer.pick(kind["open"], person), subject.name)]
    turns += _body(writer, kind, person)
    if person == Person.THIRD and rng.random() < 0.3:
        # A detour to a neighbour and back.
        writer.subject = by_name()[rng.choice(subject.near)]
        turns += [(writer.fact(), writer.subject.name) for _ in range(rng.randint(2, 4))]
        writer.subject = subject
        turns += [(writer.fact(), subject.name) for _ in range(rng.randint(1, 3))]
    turns.append((writer.pick(kind["close"], person), subject.name))
    return Document(_joined(turns), kind["name"])


def _body(writer: Writer, kind: dict[str, Any], person: Person) -> list[tuple[str, str]]:
    own = [writer.pick(kind["body"], person) for _ in range(writer.rng.randint(2, 4))]
    facts = [writer.fact(person) for _ in range(kind["facts"] + writer.rng.randint(0, 2))]
    lines = list(dict.fromkeys(own + facts))
    writer.rng.shuffle(lines)
    return [(line, _name(writer)) for line in lines]


def _joined(lines: list[tuple[str, str]]) -> tuple[Turn, ...]:
    """One turn for each run of sentences about the same subject."""
    turns: list[Turn] = []
    for line, subject in lines:
        if turns and turns[-1].subject == subject:
            turns[-1] = Turn("text", f"{turns[-1].content} {line}", subject)
        else:
            turns.append(Turn("text", line, subject))
    return tuple(turns)


def _tone_talk(rng: Random) -> Document:
    """Requests that a tone changes, asked where it is set, and where it is not."""
    tone = rng.choice(TONES)
    data = table("tones")[tone]
    toned = rng.random() < _TONED_SHARE
    works = data.get("work")
    writer = Writer(rng, fixed={"work": rng.choice(works)} if works else {})
    turns = _set_tone(writer, data) if toned else []
    if not toned and rng.random() < 0.3:
        turns.append(Turn("system", writer.pick(data["plain_set"])))
    # Short, so that more of them have a first answer: there a tone is taken on, or is not.
    for _ in range(rng.choice((1, 1, 2, 3))):
        turns += _request(writer, data, toned)
    return Document(tuple(turns), tone, tone=tone if toned else "plain")


def _set_tone(writer: Writer, data: dict[str, Any]) -> list[Turn]:
    how = writer.rng.random()
    if how < 0.5:
        return [Turn("system", writer.pick(data["set"]))]
    if how < 0.65:
        ok = table("chat")["announce"]["ok"]
        return [Turn("user", writer.pick(data["set"])), Turn("assistant", writer.pick(ok))]
    hint = writer.pick(data["hint"])
    return [Turn("user", writer.type(data["hint_ask"])), Turn("assistant", hint)]


def _request(writer: Writer, data: dict[str, Any], toned: bool) -> list[Turn]:
    draw = writer.rng.random()
    if draw < 0.2:
        return [
            Turn("user", writer.type(data["other_ask"])),
            Turn("assistant", writer.pick(data["other"])),
        ]
    if draw < 0.3:
        asked, answered = _ask(writer, writer.rng.choice(questions("any", "you")), told=False)
        lead = f"{writer.pick(data['lead'])} " if toned and "lead" in data else ""
        return [asked, Turn("assistant", lead + answered.content)]
    group = writer.rng.choice(data["group"])
    if "line" in data:
        writer.fixed["line"] = writer.pick(data["line"])
    asked = as_typed(writer.rng, writer.type(group["ask"]))
    answer = writer.pick(group["told" if toned else "plain"])
    return [Turn("user", asked, asks="tone"), Turn("assistant", answer)]
