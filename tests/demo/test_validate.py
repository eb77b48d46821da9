"""The check of the world's data finds nothing in what is shipped, and names what is broken."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from steering.demo import validate
from steering.demo.concepts import BRIDGE, Concept, by_name, concepts
from steering.demo.grammar import Document, Turn
from steering.demo.world import table

ANIMALS = table("frames/animals")
DIARY = next(kind for kind in table("kinds")["kind"] if kind["name"] == "diary")
FRAUD = table("tones")["fraud"]


@pytest.fixture
def _a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the animals, fraud and the names are looked at, which takes less time."""
    monkeypatch.setattr(validate, "BRANCHES", ("animals",))
    monkeypatch.setattr(validate, "TONES", ("fraud",))
    monkeypatch.setattr(validate, "documents", lambda seed, count: iter(()))


broken = pytest.mark.usefixtures("_a_part")


def _finds(*words: str) -> bool:
    """Whether one problem says all of these words; stops at the first that does."""
    return any(all(word in problem for word in words) for problem in validate.problems())


def test_the_shipped_world_has_no_problems() -> None:
    assert list(validate.problems()) == []


def test_it_prints_how_large_the_world_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validate, "problems", lambda: iter(()))
    validate.main()
    assert f"{len(concepts())} leaf concepts" in capsys.readouterr().out


def test_it_prints_each_problem_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validate, "problems", lambda: iter(["one thing", "another"]))
    with pytest.raises(validate.typer.Exit) as left:
        validate.main()
    assert left.value.exit_code == 1
    assert capsys.readouterr().out == "one thing\nanother\n"


@broken
@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{title} eats [zebras.", "brackets do not match"),
        ("<I eat|It eats {eats}.", "brackets do not match"),
        ("{title} eats {wheels}.", "no slot 'wheels'"),
        ("{title} eats | {eats}.", "leaves"),
    ],
)
@pytest.mark.parametrize("key", ["facts", "named", "hinted"])
def test_a_broken_template_is_named(
    monkeypatch: pytest.MonkeyPatch, template: str, says: str, key: str
) -> None:
    monkeypatch.setitem(ANIMALS, key, [*ANIMALS[key], template])
    assert _finds("frames/animals.toml", says, repr(template))


@broken
def test_a_broken_template_of_a_kind_of_document_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIARY, "body", [*DIARY["body"], "{wheels} again."])
    assert _finds("kinds.toml, diary", "no slot 'wheels'")


@broken
def test_a_first_person_where_nobody_speaks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANIMALS, "named", [*ANIMALS["named"], "{title} eats with me."])
    monkeypatch.setitem(DIARY, "close", [*DIARY["close"], "That is all for me."])
    assert _finds("frames/animals.toml", "first person", "eats with me")
    assert _finds("kinds.toml, diary", "first person", "all for me")


@broken
def test_a_question_that_a_branch_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ANIMALS["you"], "wish")
    assert _finds("frames/animals.toml", "no answers", "wish")


@broken
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda fox: replace(fox, near=("wolf", "dog", "the unicorn")), "'fox' needs three"),
        (lambda fox: replace(fox, near=fox.near[:2]), "'fox' needs three"),
        (lambda fox: replace(fox, name="Wolf", many=""), "'wolf' stands for 2 concepts"),
    ],
)
def test_an_unknown_neighbour_or_a_double_name_is_named(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Concept], Concept], says: str
) -> None:
    fox = by_name()["fox"]
    changed = tuple(change(each) if each is fox else each for each in concepts())
    monkeypatch.setattr(validate, "concepts", lambda: changed)
    assert _finds(says)


@broken
def test_a_small_world_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "concepts", lambda: concepts()[:10])
    assert _finds("10 leaf concepts", "at least 600")


@broken
def test_a_world_that_does_not_begin_with_the_bridge_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validate, "concepts", lambda: concepts()[::-1])
    assert _finds("the first row is", repr(BRIDGE))


@broken
def test_a_tone_without_its_mark_or_with_one_where_it_is_plain_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FRAUD["group"][0], "told", ["A friendly letter."])
    monkeypatch.setitem(FRAUD, "other", ["Trust me, it is fine."])
    assert _finds("tones.toml, fraud", "no mark", "A friendly letter.")
    assert _finds("tones.toml, fraud", "in the plain", "Trust me")


def test_a_template_mark_that_is_left_in_a_document_is_named(
    monkeypatch: pytest.MonkeyPatch, _a_part: None
) -> None:
    left = Document((Turn("user", "A {thing}."),), "plain")
    monkeypatch.setattr(validate, "documents", lambda seed, count: iter([left]))
    assert _finds("template marks are left", "A {thing}.")
