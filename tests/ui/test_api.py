"""The endpoints for programs."""

import json

import pytest

from tests.tiny import intervention
from tests.ui.pages import PROMPT, STRONG, host, plain_direction

EDIT = {"feature": 3, **STRONG}
SHORT = {"max_new_tokens": 6, "stop_at_eos": False}


def last(*asked):
    from ui.api import compare

    page, prompt, edits, sampling = asked
    *_, record = compare(page, prompt, edits, sampling, None)
    return record


def test_the_record_is_the_session_s():
    from steering.interventions import Sampling

    page = host()
    record = last(page, PROMPT, [EDIT], SHORT)
    made = page.session.compare(PROMPT, [intervention(**STRONG)], Sampling(**SHORT))
    assert record["rows"] == made.to_dict()["rows"]
    json.dumps(record)


def test_a_chat_is_a_prompt_too():
    record = last(host(), [{"role": "user", "content": "you"}], [EDIT], SHORT)
    assert record["rows"][0]["prompt_format"] == "chat_template"


def test_an_edit_that_did_nothing_is_refused():
    from steering.errors import InertSteeringError

    inert = {"feature": 3, "edit": "add", "strength": 1e-12, "unit": "raw"}
    with pytest.raises(InertSteeringError):
        last(host(), PROMPT, [inert], SHORT)


@pytest.mark.parametrize(
    ("prompt", "edits", "sampling", "words"),
    [
        ("", [EDIT], {}, "empty"),
        (3, [EDIT], {}, "The prompt is 3"),
        (None, [EDIT], {}, "The prompt is None"),
        ([1], [EDIT], {}, "The prompt is"),
        ([], [EDIT], {}, "no prompt"),
        ([{"role": "cake"}], [EDIT], {}, "Cannot read the chat"),
        (PROMPT, ["x"], {}, "A row cannot be used"),
        (PROMPT, [{"feature": 999, "strength": 1, "unit": "raw"}], {}, "features 0 to 63"),
        (PROMPT, [EDIT], {"cake": 1}, "no field 'cake'"),
        (PROMPT, [EDIT], {"temperature": -1}, "Cannot sample like that"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_the_line_moves_on(prompt, edits, sampling, words):
    from steering.errors import SteeringError

    page = host()
    with pytest.raises(SteeringError, match=words):
        last(page, prompt, edits, sampling)
    with page.line.ticket(None) as ticket:
        assert list(ticket.waiting()) == []


def test_who_waits_is_told_and_a_closed_request_gives_its_place_up():
    from ui.api import compare

    page = host()
    with page.line.ticket(None):
        waiting = compare(page, PROMPT, [EDIT], SHORT, "me")
        assert next(waiting) == {"waiting": True}
        waiting.close()
    with page.line.ticket(None) as ticket:
        assert list(ticket.waiting()) == []


def test_features_are_read_by_number_or_by_alias_and_number():
    from ui.api import inspect

    page = host()
    seen = inspect(page, PROMPT, [3, ["sae", 5], [None, 7]])
    assert [trace["feature"] for trace in seen["traces"]] == [3, 5, 7]
    json.dumps(seen)


@pytest.mark.parametrize("feature", ["abc", None, [3], ["sae"], [3, "sae"], {"sae": 3}, 1.5])
def test_a_feature_that_cannot_be_read_is_refused(feature):
    from steering.errors import FeatureError
    from ui.api import inspect

    with pytest.raises(FeatureError, match="Cannot read the feature"):
        inspect(host(), PROMPT, [feature])


def test_presets_are_listed_as_their_files_hold_them(tmp_path):
    from steering.presets import Preset
    from ui.api import presets

    page = host()
    page.presets = tmp_path
    (tmp_path / "broken.json").write_text("{")
    listed = presets(page)
    assert "golden-gate" in {each["name"] for each in listed}
    assert "broken" not in {each["name"] for each in listed}
    for each in listed:
        Preset.model_validate(each)


def test_more_features_than_a_page_holds_are_refused():
    from steering.errors import FeatureError
    from ui.api import inspect
    from ui.state import MOST_ROWS

    page, words = host(), f"{MOST_ROWS + 1} features were asked for. Ask for up to {MOST_ROWS}"
    assert len(inspect(page, PROMPT, list(range(MOST_ROWS)))["traces"]) == MOST_ROWS
    with pytest.raises(FeatureError, match=words):
        inspect(page, PROMPT, [3] * (MOST_ROWS + 1))
    with pytest.raises(FeatureError, match=words):
        last(page, PROMPT, [EDIT] * (MOST_ROWS + 1), SHORT)


def test_a_plain_direction_is_read_for_nobody_but_the_owner_of_the_machine():
    from steering.errors import FeatureError, LoadError

    page, edit = host(), plain_direction().model_dump(mode="json")
    with pytest.raises(LoadError, match="Cannot read a direction"):
        last(page, PROMPT, [edit], SHORT)
    page.trusted = False
    with pytest.raises(FeatureError, match="may come from anyone"):
        last(page, PROMPT, [edit], SHORT)
