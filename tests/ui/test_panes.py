"""What the panes show, read off a record."""

import json

from tests import tiny
from tests.tiny import intervention
from tests.ui.pages import STRONG, host, last, record, state, texts, turns


def panes(page, asked):
    return {pane["name"]: pane for pane in last(page, asked).view["panes"]}


def test_a_view_is_plain_data():
    page = host()
    view = last(page, state(page, 3, panes=[{"kind": "random"}])).view
    assert json.loads(json.dumps(view, allow_nan=False)) == view


def test_the_tokens_spell_the_text_and_the_steered_ones_are_marked():
    page = host()
    shown = panes(page, state(page, 3))
    for pane in shown.values():
        assert "".join(piece for piece, _, _ in pane["tokens"]) == pane["text"]
    assert not any(mark for _, mark in shown["baseline"]["prompt"])
    marks = [mark for _, mark in shown["steered"]["prompt"]]
    assert marks == [False] + [True] * (len(marks) - 1)
    # The last token is written and never read, so nothing is steered there.
    assert [mark for _, mark, _ in shown["steered"]["tokens"]] == [True] * 5 + [False]


def test_the_steered_side_says_what_it_is_pushed_to_and_that_it_was():
    page = host()
    shown = panes(page, state(page, 3, panes=[{"kind": "random", "seed": 2}]))
    assert shown["baseline"]["summary"] == []
    assert shown["baseline"]["liveness"] is shown["baseline"]["meter"] is None
    assert shown["steered"]["summary"][0].startswith("Boost")
    assert "hook fired 6 times" in shown["steered"]["liveness"]
    assert "KL" in shown["steered"]["liveness"]
    assert shown["steered"]["meter"]["ratio"] > 0
    (line,) = shown["Random direction 2"]["summary"]
    assert line.startswith("As strongly as for")
    assert line.endswith("along random direction 2")
    assert [pane["tone"] for pane in shown.values()] == ["baseline", "steered", "extra"]


def test_an_edit_along_another_feature_is_not_called_random():
    page = host()
    control = {"kind": "feature", "feature": 7}
    edit = intervention(control=control, **STRONG)
    summary = panes(page, state(page, interventions=[edit]))["steered"]["summary"]
    assert not any("random" in line for line in summary)


def test_where_two_texts_part_is_marked_only_behind_one_prompt():
    page = host()
    asked = state(page, 3, panes=[{"kind": "system", "text": "fog"}])
    frame = last(page, asked)
    shown = {pane["name"]: pane for pane in frame.view["panes"]}
    base, steered, words = record(frame).rows
    pairs = zip(base.token_ids, steered.token_ids, strict=True)
    first = next(at for at, (left, right) in enumerate(pairs) if left != right)
    assert shown["steered"]["parts_at"] == first
    assert shown["baseline"]["parts_at"] is None
    assert words.prompt_ids != base.prompt_ids
    assert shown["Asked in words: fog"]["parts_at"] is None


def test_a_pane_says_whose_numbers_are_its_own_and_which_decode_it_is_of():
    page = host()
    asked = state(page, 3, panes=[{"kind": "random"}, {"kind": "system", "text": "fog"}])
    views = [last(page, asked).view for _ in range(2)]
    own = [pane["own"] for pane in views[0]["panes"]]
    assert own == ["unsteered", "steered", "steered", "unsteered"]
    assert views[0]["prompt"] == asked.prompt
    assert views[0]["run"] != views[1]["run"]


def test_how_a_text_ended_is_said():
    page = host()
    assert panes(page, state(page, 3))["baseline"]["status"].endswith("reached the token limit")


def test_blind_panes_are_the_same_panes_in_an_order_of_their_own():
    page = host()
    asked = state(page, 3, 5, panes=[{"kind": "random", "seed": seed} for seed in range(6)])
    plain = last(page, asked)
    orders = []
    for _ in range(3):
        blind = last(page, asked.model_copy(update={"blind": True}))
        assert blind.view["blind"] is True
        assert texts(blind) == texts(plain)
        orders.append([pane["name"] for pane in blind.view["panes"]])
    assert any(order != list(texts(plain)) for order in orders)


def test_a_prompt_is_spelled_once_for_all_frames(monkeypatch):
    from steering.models import LanguageModel

    page, spelled, pieces = host(), [], LanguageModel.pieces

    def counted(self, ids):
        spelled.append(tuple(ids))
        return pieces(self, ids)

    monkeypatch.setattr(LanguageModel, "pieces", counted)
    monkeypatch.setattr("ui.tabs.steer.FRAME", 0.0)
    frame = last(page, state(page, 3))
    assert spelled.count(record(frame).rows[0].prompt_ids) == 1


def test_the_panes_wait_with_the_turns_so_far():
    from ui.panes import empty_view

    said = turns(("u", {"baseline": "b", "steered": "s"}))
    asked = state(host(tiny.session()), 3, chat=True, turns=said)
    assert empty_view()["turns"] == []
    assert empty_view(asked)["turns"] == [
        {"user": "u", "replies": {"Unsteered": "b", "Steered": "s"}}
    ]


def test_the_panes_wait_blind_and_in_a_chat_where_the_page_does():
    from ui.panes import empty_view

    page, said = host(tiny.session()), turns(("u", {"baseline": "b"}))
    for blind in (False, True):
        view = empty_view(state(page, 3, chat=True, turns=said, blind=blind))
        assert (view["blind"], view["chat"]) == (blind, True)
    for view in (empty_view(), empty_view(state(page, 3))):
        assert (view["blind"], view["chat"], view["run"]) == (False, False, None)
