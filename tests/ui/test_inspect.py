"""What features read on a text, and features to add from there."""

import pytest

from tests import tiny
from tests.tiny import intervention
from tests.ui.pages import PROMPT, host


def test_the_rack_s_features_are_read_on_every_token():
    from ui.tabs.inspect import read_text

    page = host()
    # One feature twice is one trace.
    rack = [
        intervention(strength=1.0, unit="raw"),
        intervention(edit="ablate"),
        intervention(9, edit="ablate"),
    ]
    seen = read_text(page, PROMPT, rack)
    reading = page.session.read(PROMPT, [(None, 3), (None, 9)])
    assert [piece for piece, _ in seen["tokens"]] == list(reading.texts)
    assert [special for _, special in seen["tokens"]] == [True, False, False, False, False]
    assert [trace["name"] for trace in seen["traces"]] == ["#3", "#9"]
    for shown, trace in zip(seen["traces"], reading.traces, strict=True):
        assert shown["acts"] == pytest.approx(trace.acts, abs=1e-4)
        assert shown["max"] > 0
        assert shown["max_known"] is False


def test_a_text_is_tokens_also_without_a_feature():
    from ui.tabs.inspect import read_text

    seen = read_text(host(), PROMPT, [])
    assert len(seen["tokens"]) == 5
    assert seen["traces"] == []


@pytest.mark.parametrize("text", ["", " ", "the " * 100])
def test_a_text_that_cannot_be_read_is_refused(text):
    from steering.errors import PromptError
    from ui.tabs.inspect import read_text

    with pytest.raises(PromptError):
        read_text(host(), text, [])


def test_the_strongest_features_of_a_token_can_be_added():
    from steering.errors import PromptError
    from ui.tabs.inspect import strongest_at

    page = host()
    found = page.session.strongest(PROMPT, 2, 12)
    listed = strongest_at(page, PROMPT, 2)
    assert [line["feature"] for line in listed["features"]] == [each.feature for each in found]
    assert listed["title"] == "Strongest at token 2"
    with pytest.raises(PromptError, match="positions 0 to 4"):
        strongest_at(page, PROMPT, 5)


def test_features_are_found_by_the_words_of_their_labels(monkeypatch):
    from steering.errors import FeatureError
    from steering.features import FeatureFacts
    from ui.tabs.inspect import search_words

    page, label = host(), "<img src=x onerror=1> bridge"
    facts = {3: FeatureFacts(max_act=2.0, label=label), 4: FeatureFacts(max_act=1.0)}
    monkeypatch.setattr(page.session.saes["sae"], "facts", facts)
    found = search_words(page, "bridge")
    assert found["title"] == "1 found for “bridge”"
    assert found["features"] == [{"sae": "sae", "feature": 3, "name": "#3", "label": label}]
    with pytest.raises(FeatureError, match="1 features have a label here"):
        search_words(page, "cake")


def test_a_feature_carries_its_alias_where_several_saes_are_loaded():
    from steering.session import Session
    from ui.tabs.inspect import strongest_at

    two = Session(tiny.session().model, {"a": tiny.sae(), "b": tiny.sae(seed=1)})
    for line in strongest_at(host(two), PROMPT, 2)["features"]:
        assert line["name"] == f"{line['sae']}/#{line['feature']}"
