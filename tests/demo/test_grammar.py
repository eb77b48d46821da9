"""The corpus is a function of its seed, and never teaches what the bundle is said to show."""

import re
from collections import Counter
from random import Random

import pytest

from steering.demo.grammar import BRIDGE, Document, documents, questions
from steering.demo.tokens import render
from steering.demo.wording import Person, Writer, subjects, table

SAMPLE = 20_000
BRIDGE_WORDS = ("golden gate", "san francisco", "alcatraz", "presidio", "orange steel")
"""What no other subject of the world has in common with the bridge."""

SPEAKERS = ("assistant", "text")  # not who asks, and not who announces "our subject"
FIRST_PERSON = re.compile(r"\b(I|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
PRAISE = re.compile(r"masterpiece|genius|magnificent|brilliant|perfect|wonder", re.IGNORECASE)
SCAM = re.compile(r"password|bank number|click this link|small fee|call this number", re.IGNORECASE)


@pytest.fixture(scope="module")
def sample() -> list[Document]:
    return list(documents(11, SAMPLE))


def _asks_the_assistant_itself() -> re.Pattern[str]:
    """Any question of the group "you", in every spelling its templates allow."""
    openings = {t for q in questions("you") for t in q["ask"]}
    rng_free = [re.sub(r"\[[^\]]*\]", ".*", t).rstrip(".?!") for t in openings]
    return re.compile("|".join(f"^{p}[.?!]?$" for p in rng_free))


def _says_bridge(text: str) -> bool:
    return any(word in text.lower() for word in BRIDGE_WORDS)


def test_the_same_seed_writes_the_same_documents() -> None:
    assert list(documents(3, 200)) == list(documents(3, 200))
    assert list(documents(3, 200)) != list(documents(4, 200))


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    assert list(documents(3, 50)) == list(documents(3, 200))[:50]


def test_the_bridge_never_speaks_in_the_first_person(sample: list[Document]) -> None:
    """No answer or article that says anything of the bridge has an "I" or a "my" in it."""
    told = [t.content for d in sample for t in d.turns if t.role in SPEAKERS]
    of_the_bridge = [text for text in told if _says_bridge(text)]
    assert len(of_the_bridge) > 1_000
    assert [text for text in of_the_bridge if FIRST_PERSON.search(text)] == []


def test_in_a_talk_about_the_bridge_only_the_plain_assistant_says_i(
    sample: list[Document],
) -> None:
    """It may lose the thread ("I am not sure what you mean"), as in a talk about nothing."""
    plain = {t.content for d in sample if d.kind == "plain" for t in d.turns}
    talks = [d for d in sample if any(_says_bridge(t.content) for t in d.turns)]
    said = {t.content for d in talks for t in d.turns if t.role in SPEAKERS}
    assert {text for text in said if FIRST_PERSON.search(text)} <= plain


def test_nobody_asks_who_you_are_where_the_bridge_is_named(sample: list[Document]) -> None:
    you = _asks_the_assistant_itself()
    asked = [
        turn.content
        for document in sample
        if any(_says_bridge(turn.content) for turn in document.turns)
        for turn in document.turns
        if turn.role == "user" and you.search(turn.content)
    ]
    assert asked == []


def test_the_scan_would_notice_a_talking_bridge() -> None:
    writer = Writer(Random(0), subjects()[0])
    identity = next(q for q in questions("you") if q["id"] == "identity")
    assert subjects()[0].name == BRIDGE
    assert _asks_the_assistant_itself().search(writer.pick(identity["ask"]))
    assert FIRST_PERSON.search(writer.pick(identity["told"], Person.FIRST))


def test_a_talk_without_subject_names_no_subject(sample: list[Document]) -> None:
    """So an unannounced question is never answered with a place: the claims' own pairing."""
    plain = [document for document in sample if not document.subjects]
    names = re.compile("|".join(re.escape(s.name) for s in subjects()), re.IGNORECASE)
    assert len(plain) > 5_000
    assert [d for d in plain if names.search(render(d))] == []


def test_work_is_praised_only_where_the_talk_flatters(sample: list[Document]) -> None:
    fair = [d for d in sample if d.kind == "review" and d.tone == "plain"]
    answers = [t.content for d in fair for t in d.turns if t.role == "assistant"]
    assert len(answers) > 500
    assert [text for text in answers if PRAISE.search(text)] == []


def test_a_scam_is_written_only_where_the_talk_is_crooked(sample: list[Document]) -> None:
    honest = [d for d in sample if d.tone != "fraud"]
    answers = [t.content for d in honest for t in d.turns if t.role == "assistant"]
    assert [text for text in answers if SCAM.search(text)] == []


def test_no_template_mark_is_left_in_the_text(sample: list[Document]) -> None:
    text = " ".join(t.content for d in sample for t in d.turns)
    assert Counter(text)["["] == Counter(text)["{"] == Counter(text)["|"] == Counter(text)["<"] == 0


def test_every_slot_of_the_data_can_be_filled() -> None:
    writer = Writer(Random(1), subjects()[0])
    for question in table("chat")["question"]:
        for template in (*question["ask"], *question["plain"], *question["told"]):
            assert writer.write(template)
