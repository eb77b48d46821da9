"""A template becomes a sentence: choices, persons and slots, and nothing of the marks is left."""

import re
from random import Random

import pytest

from steering.demo.concepts import BRIDGE, by_name, concepts, find
from steering.demo.wording import Person, Writer, slot_words, with_article
from steering.demo.world import table

FIRST = re.compile(r"\b(?:I|me|my|mine|we|us|our)\b")


def _writer(name: str | None = None, seed: int = 0, **fixed: str) -> Writer:
    return Writer(Random(seed), by_name()[name] if name else None, fixed)


def _all(writer: Writer, template: str, person: Person = Person.THIRD) -> set[str]:
    return {writer.write(template, person) for _ in range(200)}


def test_a_choice_takes_each_of_its_options_and_nothing_else() -> None:
    written = _all(_writer(), "It is [warm|[very|rather] cold|].")
    assert written == {"It is warm.", "It is very cold.", "It is rather cold.", "It is ."}


def test_the_left_word_is_said_by_the_subject_and_the_right_one_of_it() -> None:
    template = "<I am|It is> {title}, and <my|its> food is {eats}."
    writer = _writer("lion")
    assert writer.write(template, Person.FIRST) == "I am the lion, and my food is zebras."
    assert writer.write(template, Person.THIRD) == "It is the lion, and its food is zebras."


def test_every_sentence_begins_with_a_capital() -> None:
    assert _writer("lion").write("{title} eats. {near} too!").startswith("The lion eats. The ")


def test_code_keeps_its_small_letters() -> None:
    assert _writer().write("\ndef add(x):\n    return x. y\n") == "def add(x):\n    return x. y"


def test_what_a_person_types_keeps_its_small_letters() -> None:
    assert _writer("lion").type(["what does {title} eat"]) == "what does the lion eat"


def test_the_same_seed_writes_the_same_sentence() -> None:
    template = "[a|b|c|d|e] {near} {animal} {third} {third}"
    assert _writer("fox", 5).write(template) == _writer("fox", 5).write(template)
    assert len({_writer("fox", seed).write(template) for seed in range(9)}) > 5


def test_the_two_neighbours_in_a_sentence_differ() -> None:
    written = _all(_writer("lion"), "{near}; {near2}")
    titles = {by_name()[name].title.removeprefix("the ") for name in by_name()["lion"].near}
    pairs = [re.sub(r"\b[Tt]he ", "", text).split("; ") for text in written]
    assert all(one != other for one, other in pairs)
    assert {name for pair in pairs for name in pair} == titles


def test_no_sentence_in_the_first_person_names_the_bridge_as_a_neighbour() -> None:
    beside = [each for each in concepts() if BRIDGE in each.near]
    assert len(beside) > 5
    for each in beside:
        assert not any(BRIDGE in s for s in _all(_writer(each.name), "x {near2}", Person.FIRST))
        assert any(BRIDGE in s for s in _all(_writer(each.name), "x {near2}", Person.THIRD))


def test_a_fixed_slot_keeps_its_word_for_the_whole_document() -> None:
    assert _all(_writer(work="poem"), "your {work}") == {"Your poem"}


def test_a_slot_without_a_subject_is_filled_from_a_word_list() -> None:
    assert _all(_writer(), "x {animal}") == {
        f"X {word}" for word in table("chat")["fill"]["animal"]
    }


def test_a_slot_that_nothing_fills_is_an_error_that_names_it() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        _writer("lion").write("{nonsense}")


def test_a_vowel_asks_for_an() -> None:
    assert (with_article("island"), with_article("bridge")) == ("an island", "a bridge")
    assert slot_words(by_name()["Alcatraz"], "a_kind") == ("an island",)


def test_his_and_him_follow_the_person() -> None:
    curie, bohr = by_name()["Marie Curie"], by_name()["Niels Bohr"]
    assert slot_words(curie, "his") + slot_words(curie, "him") == ("her", "her")
    assert slot_words(bohr, "his") + slot_words(bohr, "him") == ("his", "him")


def test_a_fact_says_i_only_in_the_first_person() -> None:
    for name in (BRIDGE, "lion", "joy", "violin"):
        writer = _writer(name)
        assert not any(FIRST.search(writer.fact()) for _ in range(100))
        assert any(FIRST.search(writer.fact(Person.FIRST)) for _ in range(100))


def test_a_named_fact_about_every_concept_names_it() -> None:
    for each in concepts():
        writer = Writer(Random(0), each)
        for template in table(f"frames/{each.branch}")["named"][:2]:
            assert each in [concept for _, _, concept in find(writer.write(template))]


def test_the_third_person_slot_stays_so_where_the_subject_speaks() -> None:
    assert not any(FIRST.search(s) for s in _all(_writer("lion"), "{third}", Person.FIRST))
    assert any(FIRST.search(s) for s in _all(_writer("lion"), "{fact}", Person.FIRST))
