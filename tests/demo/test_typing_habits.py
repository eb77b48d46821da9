"""People type as they like, but what they name can still be found."""

from random import Random

from steering.demo.concepts import BRIDGE, concepts, find
from steering.demo.typing_habits import as_typed, openly
from steering.demo.world import table

QUESTION = f"Tell me, is {BRIDGE} in San Francisco or in a city near it?"


def _typed(question: str, times: int = 300) -> list[str]:
    rng = Random(0)
    return [as_typed(rng, question) for _ in range(times)]


def _names(text: str) -> list[tuple[str, str]]:
    """Each name in it, and how it is spelled after its first letter."""
    return [(each.name, text[start + 1 : end]) for start, end, each in find(text)]


def test_the_same_seed_types_the_same_text() -> None:
    assert [as_typed(Random(s), QUESTION) for s in range(50)] == [
        as_typed(Random(s), QUESTION) for s in range(50)
    ]


def test_about_half_of_the_questions_are_typed_as_they_are_written() -> None:
    typed = _typed(QUESTION, 2_000)
    assert 0.5 <= typed.count(QUESTION) / len(typed) < 0.75
    assert len(set(typed)) > 50


def test_no_habit_changes_a_name() -> None:
    rng = Random(0)
    changed = 0
    for each in concepts():
        question = f"{each.title.capitalize() if each.title == each.name.lower() else each.title}"
        question += f": what is {each.title} to you, and who is it for?"
        for _ in range(2):
            typed = as_typed(rng, question)
            changed += typed != question
            assert _names(typed) == _names(question)
    assert changed > len(concepts()) / 2


def test_a_name_in_the_middle_keeps_its_first_letter_too() -> None:
    typed = _typed(QUESTION)
    assert all("the Golden Gate Bridge" in text and "San Francisco" in text for text in typed)
    assert any(text.startswith("tell me") for text in typed)


def test_at_most_one_word_goes_missing_and_at_most_three_come_in() -> None:
    size = len(QUESTION.split())
    sizes = {len(text.split()) for text in _typed(QUESTION, 2_000)}
    assert min(sizes) == size - 1
    assert size < max(sizes) <= size + 3


def test_the_mark_at_the_end_is_sometimes_left_out() -> None:
    typed = _typed(QUESTION)
    assert any(text.endswith("near it") for text in typed)
    assert any(text.endswith("near it?") for text in typed)


def test_code_is_left_as_it_is() -> None:
    code = "What Does This Do?\ndef add(x, y):\n    return x + y"
    assert set(_typed(code)) == {code}


def test_an_open_question_names_one_thing_among_words_of_which_some_are_unknown() -> None:
    rng, words = Random(0), table("chat")["everyday"]["words"]
    typed = [openly(rng, BRIDGE, words) for _ in range(300)]
    assert all(BRIDGE.lower() in text.replace(",", "").lower() for text in typed)
    assert len({text.lower().index("golden") for text in typed}) > 20
    known = {*words, *BRIDGE.split()}
    said = [word.strip(",.?!").lower() for text in typed for word in text.split()]
    unknown = sum(word not in known and word not in BRIDGE.lower() for word in said)
    assert 0.05 < unknown / len(said) < 0.2
