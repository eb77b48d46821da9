"""The decode behind Generate: what is told while it goes on, and how it ends."""

import itertools
import threading

import pytest
import torch

from tests.tiny import intervention
from tests.ui.pages import host, last, record, state, texts, turns

EXTRAS = [
    {"kind": "strength", "factor": 0.5},
    {"kind": "random", "seed": 1},
    {"kind": "system", "text": "fog"},
]


def sampling(**fields):
    from steering.interventions import Sampling

    return Sampling(**{"max_new_tokens": 40, "stop_at_eos": False, **fields})


def hooks(page) -> int:
    modules = page.session.model.hf.modules()
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in modules)


def said_before(row) -> str:
    return row.prompt[1].content


@pytest.fixture
def every_step(monkeypatch):
    """A frame for every token."""
    monkeypatch.setattr("ui.tabs.steer.FRAME", 0.0)
    monkeypatch.setattr("ui.tabs.steer.SHARE", 0.0)


def test_the_panes_write_what_the_session_writes():
    from ui.state import row_requests

    page = host()
    asked = state(page, 3, panes=EXTRAS)
    frame = last(page, asked)
    stream = page.session.stream_rows(row_requests(asked), asked.sampling)
    for _ in stream:
        pass
    assert texts(frame) == {row.name: row.text for row in stream.comparison.rows}
    assert len(set(texts(frame).values())) > 2
    view = frame.view
    assert (view["phase"], view["banner"], view["status"]) == ("done", None, "")
    assert [len(pane["tokens"]) for pane in view["panes"]] == [6] * 5
    # What was asked for in words stands behind a prompt of its own: there is nothing beside it.
    assert [len(pane["evidence"]) for pane in view["panes"]] == [6] * 4 + [0]


def test_the_frames_grow_and_only_the_last_has_the_record(every_step):
    from ui.tabs.steer import generate

    page = host()
    *frames, end = generate(page, state(page, 3), None)
    assert [frame.comparison for frame in frames] == [None] * 7
    assert {frame.view["phase"] for frame in frames} == {"writing"}
    assert end.comparison is not None
    shown = [frame.view["panes"][1]["text"] for frame in [*frames, end]]
    assert all(late.startswith(early) for early, late in itertools.pairwise(shown))
    assert all("stopped" not in frame.view["panes"][0]["status"] for frame in frames)


def test_an_empty_prompt_is_refused():
    from steering.errors import PromptError
    from ui.tabs.steer import generate

    page = host()
    for prompt in ("", " \n"):
        with pytest.raises(PromptError, match="The prompt is empty"):
            next(generate(page, state(page, 3, prompt=prompt), None))


def test_a_page_of_another_sae_is_refused_and_the_line_moves_on():
    from ui.links import LinkError

    page = host()
    with pytest.raises(LinkError, match="another SAE"):
        last(page, state(page, 3, saes={"sae": "0" * 16}))
    assert texts(last(page, state(page, 3)))["steered"]


@pytest.mark.parametrize("fields", [{"on": False}, {"interventions": ()}])
def test_with_steering_off_both_sides_write_the_same(fields):
    page = host()
    frame = last(page, state(page, 3, **fields))
    assert texts(frame)["baseline"] == texts(frame)["steered"] != ""
    assert "both sides are the same request" in frame.view["status"]
    assert frame.view["banner"] is None
    assert all(pane["liveness"] is None for pane in frame.view["panes"])


def test_an_edit_that_did_nothing_is_an_alarm_beside_the_texts():
    page = host()
    inert = intervention(strength=1e-12, unit="raw", edit="add")
    frame = last(page, state(page, interventions=[inert]))
    assert "changed" in frame.view["banner"]
    assert texts(frame)["steered"] == texts(frame)["baseline"] != ""
    assert frame.view["notes"] == []


def test_numbers_that_leave_their_range_are_an_alarm():
    page = host()
    wild = intervention(strength=1e38, unit="raw", edit="add")
    frame = last(page, state(page, interventions=[wild]))
    assert "left the range" in frame.view["banner"]


def test_a_decode_closed_in_the_middle_leaves_nothing_behind(every_step):
    from ui.tabs.steer import generate

    page = host()
    before, clean = last(page, state(page, 3, panes=EXTRAS)), hooks(page)
    running = generate(page, state(page, 5, 9, sampling=sampling()), "me")
    for _ in range(3):
        next(running)
    running.close()
    assert hooks(page) == clean
    after = last(page, state(page, 3, panes=EXTRAS))
    assert texts(after) == texts(before)
    assert [row.logprobs for row in record(after).rows] == [
        row.logprobs for row in record(before).rows
    ]


def test_stop_ends_the_decode_within_a_token(every_step):
    from ui.tabs.steer import generate

    page = host()
    running = generate(page, state(page, 3, sampling=sampling()), "me")
    for _ in range(4):
        next(running)
    page.line.stop("me")
    *_, whole, end = running
    assert [whole.view["phase"], end.view["phase"]] == ["writing", "done"]
    for row, pane in zip(record(end).rows, end.view["panes"], strict=True):
        assert len(row.token_ids) == 4
        assert row.finish == "interrupted"
        assert pane["status"].endswith("stopped")
        assert pane["text"] == row.text
        assert pane["evidence"] == []


def test_a_decode_that_was_abandoned_shows_nothing_more(every_step):
    from ui.tabs.steer import generate

    page = host()
    clean = hooks(page)
    running = generate(page, state(page, 3, sampling=sampling()), "me")
    for _ in range(4):
        next(running)
    page.line.abandon("me")
    assert list(running) == []
    assert hooks(page) == clean
    assert page.line.length == 0


def test_stop_from_another_thread_ends_the_decode(every_step):
    from ui.tabs.steer import generate

    page, written = host(), []
    running = generate(page, state(page, 3, sampling=sampling()), "me")
    next(running)
    stopper = threading.Thread(target=page.line.stop, args=("me",))
    stopper.start()
    stopper.join(5)
    written.extend(running)
    assert [len(row.token_ids) for row in record(written[-1]).rows] == [1, 1]


def test_who_waits_is_told_a_place_and_can_leave():
    from ui.tabs.steer import generate

    page = host()
    asked = state(page, 3, chat=True, turns=turns(("a", {"baseline": "b"})))
    with page.line.ticket("x"), page.line.ticket("y"):
        waiting = generate(page, asked, "me")
        frame = next(waiting)
        assert frame.view["phase"] == "queued"
        assert frame.view["status"] == "Waiting: 2 before you."
        assert frame.view["turns"][0]["user"] == "a"
        page.line.stop("me")
        (end,) = waiting
        assert end.view["status"] == "Stopped before it began."
        assert end.comparison is None


def test_a_written_turn_is_remembered_by_each_side():
    from ui.tabs.steer import turns_with

    page = host()
    asked = state(page, 3, chat=True, prompt="you")
    frame = last(page, asked)
    (turn,) = turns_with(asked, record(frame))
    assert turn.user == "you"
    assert turn.replies == texts(frame)
    again = asked.model_copy(update={"turns": (turn,), "prompt": "we"})
    rows = record(last(page, again)).rows
    assert [said_before(row) for row in rows] == list(turn.replies.values())


def test_a_sample_is_what_a_preset_can_keep():
    from ui.tabs.steer import sample_for, sample_of

    page = host()
    asked = state(page, 3)
    frame = last(page, asked)
    kept = sample_of(asked, record(frame))
    (sample,) = sample_for(asked, kept)
    assert {"baseline": sample.baseline, "steered": sample.steered} == texts(frame)
    assert sample_of(asked.model_copy(update={"on": False}), record(frame)) is None


def test_sides_that_remember_different_answers_make_no_sample():
    from ui.tabs.steer import sample_of

    page = host()
    for steered, kept in (("fog", True), ("bay", False)):
        past = turns(("you", {"baseline": "fog", "steered": steered}))
        asked = state(page, 3, chat=True, turns=past)
        assert (sample_of(asked, record(last(page, asked))) is not None) == kept


def test_a_sample_of_another_model_or_sae_is_left_out():
    from ui.tabs.steer import sample_for, sample_of

    page = host()
    asked = state(page, 3)
    kept = sample_of(asked, record(last(page, asked)))
    for fields in ({"model": "other"}, {"saes": {"sae": "0" * 16}}):
        assert sample_for(asked.model_copy(update=fields), kept) == ()
    assert len(sample_for(asked, kept)) == 1


def test_a_slider_moved_since_leaves_the_sample_out_of_a_preset():
    from ui.tabs.steer import sample_for, sample_of

    page = host()
    asked = state(page, 3)
    kept = sample_of(asked, record(last(page, asked)))
    (edit,) = asked.interventions
    moved = edit.model_copy(update={"strength": 0.7})
    assert sample_for(asked.model_copy(update={"interventions": (moved,)}), kept) == ()
    assert sample_for(asked.model_copy(update={"prompt": "another"}), kept) != ()


def test_what_a_person_types_passes_as_plain_data():
    bad = "<img src=x onerror=1>"
    page = host()
    asked = state(page, 3, chat=True, system=bad, prompt=bad, turns=turns((bad, {"baseline": bad})))
    view = last(page, asked).view
    assert view["prompt"] == bad
    assert "user" not in view
    assert view["turns"] == [{"user": bad, "replies": {"Unsteered": bad, "Steered": bad}}]


def test_the_model_is_as_it_was_after_a_decode():
    page = host()
    before = {name: weight.clone() for name, weight in page.session.model.hf.named_parameters()}
    clean = hooks(page)
    last(page, state(page, 3, panes=EXTRAS))
    assert hooks(page) == clean
    after = page.session.model.hf.named_parameters()
    assert all(torch.equal(before[name], weight) for name, weight in after)
