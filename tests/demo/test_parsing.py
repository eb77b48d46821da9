"""The grammar reads what it writes, and refuses what it can not have written."""

from collections.abc import Iterator
from random import Random

import pytest

from steering.demo.concepts import BRANCHES
from steering.demo.grammar import SPEAKERS, documents
from steering.demo.parsing import Frame, frames, is_grammatical, sentences, split_template


@pytest.fixture(scope="module")
def written() -> list[str]:
    """Every sentence that is answered or told in some documents."""
    turns = (turn for document in documents(21, 180) for turn in document.turns)
    told = (turn.content for turn in turns if turn.role in SPEAKERS)
    return list(dict.fromkeys(sentence for text in told for sentence in sentences(text)))


def _shuffled(written: list[str]) -> Iterator[str]:
    rng = Random(0)
    for sentence in written:
        words = sentence[:-1].split()
        mixed = rng.sample(words, len(words))
        if len(words) > 4 and mixed != words and "\n" not in sentence:
            yield " ".join(mixed) + sentence[-1]


def test_every_sentence_that_the_grammar_writes_is_grammatical(written: list[str]) -> None:
    assert len(written) > 800
    assert [sentence for sentence in written if not is_grammatical(sentence)] == []


def test_the_same_words_in_another_order_are_not_grammatical(written: list[str]) -> None:
    shuffled = list(_shuffled(written))[:250]
    assert len(shuffled) == 250
    assert [sentence for sentence in shuffled if is_grammatical(sentence)] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        ".",
        "The the the.",
        "Colourless green ideas sleep furiously.",
        "Golden Gate Bridge bridge bridge.",
        "The fox eats",
        "{title} eats {eats}.",
    ],
)
def test_nonsense_is_not_grammatical(sentence: str) -> None:
    assert not is_grammatical(sentence)


def test_a_frame_refuses_what_belongs_to_another_branch() -> None:
    frame = Frame("{title} eats {eats}.", ("animals",))
    assert frame.writes("The lion eats zebras.")
    assert not frame.writes("The lion eats orange steel.")
    assert not frame.writes("Goulash eats zebras.")
    assert not is_grammatical("The lion eats orange steel.")


def test_a_frame_does_not_ask_whether_it_is_true() -> None:
    assert Frame("{title} eats {eats}.", ("animals",)).writes("The lion eats gazelles.")


def test_two_slots_side_by_side_are_told_apart_by_what_they_hold() -> None:
    frame = Frame("The books call {title} {a_kind}.", ("people",))
    assert frame.writes("The books call Marie Curie a physicist.")
    assert not frame.writes("The books call Marie a Curie physicist.")


def test_an_option_that_was_not_taken_needs_no_words() -> None:
    frame = Frame("<I am|It is> {title}[|, near {near}|, at last].", ("places",))
    assert frame.writes("It is Alcatraz.")
    assert frame.writes("I am Alcatraz, at last.")
    assert frame.writes("I am Alcatraz, near the Presidio.")
    assert not frame.writes("I am Alcatraz, near zebras.")
    assert not frame.writes("We are Alcatraz.")


def test_there_are_at_least_2000_frames_and_each_is_there_once() -> None:
    assert len(frames()) == len(set(frames()))
    assert len({frame.template for frame in frames()}) >= 2_000
    assert {branch for frame in frames() for branch in frame.branches} == set(BRANCHES)


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("It is cold.", ["It is cold."]),
        ("It is cold. Take a coat!", ["It is cold.", "Take a coat!"]),
        ("It is [cold|warm].", ["It is [cold|warm]."]),
        ("It is cold. [Run.|Stay.]", ["It is cold.", "Run.", "Stay."]),
        ("[No|Yes]. [Run.|]", ["[No|Yes].", "Run."]),
        ("I am {title}. {fact} {third}", ["I am {title}."]),
        ("{fact} {near} is close.", ["{near} is close."]),
        ("[Oh, [you|me]|No]! Go.", ["[Oh, [you|me]|No]!", "Go."]),
        ("\ndef f(x):\n    return x. y", ["\ndef f(x):\n    return x. y"]),
    ],
)
def test_a_template_is_split_into_its_sentences(template: str, parts: list[str]) -> None:
    assert split_template(template) == parts


def test_a_text_is_split_into_its_sentences_and_code_is_not() -> None:
    assert sentences(" It is cold. Run!  Why? ") == ["It is cold.", "Run!", "Why?"]
    assert sentences("def f(x):\n    return x. y\n") == ["def f(x):\n    return x. y"]
    assert sentences(" ") == []
