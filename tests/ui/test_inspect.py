"""What features read on a text, and features to add from there."""

import pytest

from tests import tiny
from tests.tiny import intervention
from tests.ui.pages import PROMPT, host


@pytest.fixture
def with_atlas(tmp_path, monkeypatch):
    """A page whose SAE has an atlas of a person's own, and the atlas, open."""
    from steering.atlas.places import own_path
    from steering.session import Session
    from tests.atlas import made

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path / "own")
    page = host(Session(made.model(), {"sae": tiny.sae()}))
    sae = page.session.saes["sae"]
    with made.build(own_path(sae), made.text_file(tmp_path), sae) as atlas:
        yield page, atlas


def _busiest(atlas):
    """The feature that fired most often, and its maximum."""
    found = atlas.one("SELECT feature, max_act FROM stats ORDER BY fired DESC")
    assert found is not None
    return found


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


def test_the_strongest_features_of_a_token_are_listed_by_both_ranks():
    from steering.atlas.token_activity import active_at
    from steering.errors import PromptError
    from ui.tabs.inspect import MOST_LISTED, strongest_at

    page = host()
    session = page.session
    text = session.model.encode(PROMPT, prepend_bos=session.prepend_bos, room=0)
    found = active_at(session.model, session.saes["sae"], text, 2, limit=MOST_LISTED)
    listed = strongest_at(page, PROMPT, 2)
    wanted = {each.feature for each in (*found.by_activation, *found.by_attribution)}
    lines = {line["feature"]: line for line in listed["features"]}
    assert set(lines) == wanted
    assert listed["title"] == f"{found.fired} fire at token 2"
    assert repr(found.target) in listed["note"]
    for each in found.by_attribution:
        said = lines[each.feature]["ranks"]
        assert f"activation rank {each.activation_rank}" in said
        assert f"attribution rank {each.attribution_rank}" in said
        assert lines[each.feature]["by"]["attribution"] == each.attribution
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
    (line,) = found["features"]
    assert (line["sae"], line["feature"], line["name"], line["label"]) == ("sae", 3, "#3", label)
    with pytest.raises(FeatureError, match="1 features have a label here"):
        search_words(page, "cake")


def test_what_the_atlas_alone_names_is_found_with_what_it_knows(with_atlas):
    from steering.atlas.labels import set_label
    from steering.errors import FeatureError
    from ui.tabs.inspect import search_words

    page, atlas = with_atlas
    feature, _ = _busiest(atlas)
    set_label(atlas, feature, "suspension bridges")
    (line,) = search_words(page, "bridge")["features"]
    assert (line["feature"], line["label"]) == (feature, "suspension bridges")
    assert "of tokens" in line["density"]
    with pytest.raises(FeatureError, match="1 features have a label here"):
        search_words(page, "cake")


def test_a_feature_carries_its_alias_where_several_saes_are_loaded():
    from steering.session import Session
    from ui.tabs.inspect import strongest_at

    two = Session(tiny.session().model, {"a": tiny.sae(), "b": tiny.sae(seed=1)})
    found = strongest_at(host(two), PROMPT, 2)["features"]
    assert {line["sae"] for line in found} == {"a", "b"}
    for line in found:
        assert line["name"] == f"{line['sae']}/#{line['feature']}"


def test_behind_the_last_token_stands_what_the_model_would_write():
    from ui.tabs.inspect import strongest_at

    page = host()
    assert "is to what follows it" in strongest_at(page, PROMPT, 2)["note"]
    assert "most likely write next" in strongest_at(page, PROMPT, 4)["note"]


def test_the_heat_is_of_the_maximum_that_the_atlas_measured(with_atlas):
    from ui.tabs.inspect import read_text

    page, atlas = with_atlas
    feature, most = _busiest(atlas)
    (trace,) = read_text(page, PROMPT, [intervention(feature, strength=1.0)])["traces"]
    assert trace["max_known"]
    assert trace["max"] == pytest.approx(most)
