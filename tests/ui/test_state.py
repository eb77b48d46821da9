"""Which rows a page asks for, and what each of them reads."""

import pytest

from tests.tiny import intervention
from tests.ui.pages import turns


def page(**fields):
    from ui.state import PageState

    return PageState(**{"model": "m", "saes": {}, "prompt": "hi", **fields})


def edits():
    return (intervention(strength=2.0, unit="raw"), intervention(9, edit="ablate"))


def said(row):
    return [(message.role, message.content) for message in row.prompt]


EXTRAS = [
    {"kind": "strength", "factor": 3.0},
    {"kind": "random", "seed": 5},
    {"kind": "system", "text": "Be a bridge."},
]


def test_every_pane_is_a_row_with_its_own_edits():
    from steering.interventions import RandomControl
    from ui.state import row_requests

    asked = edits()
    rows = row_requests(page(interventions=asked, panes=EXTRAS))
    assert [row.name for row in rows] == [
        "baseline",
        "steered",
        "Steered × 3",
        "Random direction 5",
        "Asked in words: Be a bridge.",
    ]
    baseline, steered, stronger, random, words = [tuple(row.interventions) for row in rows]
    assert (baseline, steered, words) == ((), asked, ())
    assert [each.strength for each in stronger] == [6.0, None]
    assert [each.control for each in random] == [RandomControl(seed=5)] * 2
    assert [row.prompt for row in rows] == ["hi"] * 4 + ["Be a bridge.\n\nhi"]


def test_two_panes_of_one_title_have_names_of_their_own():
    from ui.state import row_requests

    rows = row_requests(page(panes=[EXTRAS[0]] * 3))
    assert [row.name for row in rows][2:] == ["Steered × 3", "Steered × 3 (2)", "Steered × 3 (3)"]


def test_a_pane_keeps_its_own_history_when_another_is_removed():
    from ui.state import row_requests

    panes = [{"kind": "system", "text": text} for text in ("Be a bridge.", "Be the fog.")]
    asked = page(chat=True, panes=panes)
    names = [row.name for row in row_requests(asked)]
    past = turns(("one", {name: f"said by {name}" for name in names}))
    *_, kept = row_requests(page(chat=True, panes=panes[1:], turns=past))
    assert kept.name == names[3]
    assert [text for role, text in said(kept) if role == "assistant"] == [f"said by {names[3]}"]


def test_an_edit_acts_where_it_and_the_page_are_switched_on():
    asked = (intervention(strength=1.0), intervention(9, strength=1.0, enabled=False))
    assert page(interventions=asked).acting == asked[:1]
    assert page(interventions=asked, on=False).acting == ()


def test_each_side_of_a_chat_remembers_its_own_answers():
    from ui.state import row_requests

    past = turns(
        ("one", {"baseline": "plain", "steered": "bridge"}),
        ("two", {"baseline": "dull", "steered": "", "Random direction 5": "odd"}),
    )
    rows = row_requests(page(chat=True, system="S", turns=past, panes=EXTRAS, prompt="three"))
    asked = [("user", "one"), ("user", "two"), ("user", "three")]
    answers = {}
    for row in rows:
        first, *rest = said(row)
        words = row.name == "Asked in words: Be a bridge."
        assert first == ("system", "S\n\nBe a bridge." if words else "S")
        assert [each for each in rest if each[0] == "user"] == asked
        assert [role for role, _ in rest] == ["user", "assistant", "user", "assistant", "user"]
        answers[row.name] = [content for role, content in rest if role == "assistant"]
    assert answers == {
        "baseline": ["plain", "dull"],
        # It answered with nothing, and remembers that: not what the other side said.
        "steered": ["bridge", ""],
        # Panes that came later take over what the steered side remembers.
        "Steered × 3": ["bridge", ""],
        "Random direction 5": ["bridge", "odd"],
        "Asked in words: Be a bridge.": ["bridge", ""],
    }


def test_a_chat_without_a_system_message_has_none():
    from ui.state import row_requests

    assert said(row_requests(page(chat=True))[0]) == [("user", "hi")]


def test_a_chat_that_waits_for_a_message_is_reopened_before_its_last_one():
    from ui.state import reopened

    past = turns(("one", {"baseline": "a"}), ("two", {"baseline": "b"}))
    waiting = page(chat=True, turns=past, prompt=" ")
    again = reopened(waiting)
    assert (again.prompt, len(again.turns)) == ("two", 1)
    for other in (page(turns=past, prompt=""), page(chat=True, turns=past), page(chat=True)):
        assert reopened(other) == other


@pytest.mark.parametrize(
    ("chat", "prompt", "users", "answers"),
    [
        ([("user", "a")], "a", [], []),
        ([("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c")], "c", ["a"], ["b"]),
        ([("user", "a"), ("assistant", "b")], "", ["a"], ["b"]),
        ([("user", "a"), ("user", "b")], "a\n\nb", [], []),
        ([], "", [], []),
    ],
)
def test_a_chat_becomes_turns_and_loses_no_word(chat, prompt, users, answers):
    from steering.interventions import Message
    from ui.state import chat_from

    made = page(**chat_from([Message(role=role, content=content) for role, content in chat]))
    assert made.prompt == prompt
    assert [turn.user for turn in made.turns] == users
    assert [turn.replies["steered"] for turn in made.turns] == answers
    assert made.system == ("S" if ("system", "S") in chat else "")


def test_what_is_no_state_is_refused():
    from pydantic import ValidationError

    from ui.state import MOST_ROWS, MOST_TURNS

    row, turn = intervention(strength=1.0), turns(("u", {}))
    assert len(page(interventions=[row] * MOST_ROWS).interventions) == MOST_ROWS
    assert len(page(turns=turn * MOST_TURNS).turns) == MOST_TURNS
    for fields in (
        {"panes": EXTRAS * 3},
        {"panes": [{"kind": "cake"}]},
        {"cake": 1},
        {"interventions": [row] * (MOST_ROWS + 1)},
        {"turns": turn * (MOST_TURNS + 1)},
    ):
        with pytest.raises(ValidationError):
            page(**fields)
