"""Rows of the rack and interventions, and what a person types to add one."""

import pytest

from tests import tiny
from tests.tiny import intervention
from tests.ui.pages import plain_direction


@pytest.fixture(scope="module")
def session():
    return tiny.session()


@pytest.fixture
def unknown(monkeypatch):
    """No maximum can be estimated."""
    from steering.calibration import Calibration
    from steering.errors import StrengthError

    def never(self, sae, feature):
        raise StrengthError("The maximum is unknown.")

    monkeypatch.setattr(Calibration, "estimate_max_act", never)


def rows():
    return (
        intervention(strength=-0.1, unit="raw", sae="sae", positions={"where": "prompt"}),
        intervention(4, edit="scale", strength=0.0, enabled=False),
        intervention(5, edit="ablate", condition={"feature": 6, "above": 0.5}),
        intervention(6, strength=1 / 3, max_act=4.0, control={"kind": "feature", "feature": 7}),
    )


def test_a_rack_brings_back_every_intervention(session):
    import json

    from ui.rack import interventions_of, rack_of

    rack = json.loads(json.dumps(rack_of(session, rows(), on=False)))
    assert interventions_of(rack) == rows()
    assert rack["on"] is False


@pytest.mark.parametrize(
    "rack", [None, [], {}, {"rows": None}, {"rows": ["x"]}, {"rows": [None]}, {"rows": [{}] * 65}]
)
def test_what_is_no_rack_is_refused(rack):
    from steering.errors import FeatureError
    from ui.rack import interventions_of

    with pytest.raises(FeatureError, match="The rack cannot be read"):
        interventions_of(rack)


@pytest.mark.parametrize(
    "row", [{}, {"intervention": "x"}, {"intervention": {"feature": 3, "strength": float("nan")}}]
)
def test_a_row_whose_numbers_make_no_intervention_is_refused(row):
    from steering.errors import StrengthError
    from ui.rack import interventions_of

    with pytest.raises(StrengthError, match="A row cannot be used"):
        interventions_of({"rows": [row]})


def test_a_row_says_everything_that_is_not_as_usual(session):
    from ui.rack import row_of

    scheduled = intervention(
        strength=1.0,
        unit="raw",
        positions={"where": "generated", "start": 2, "first": True, "special": True},
        schedule={"kind": "stop_after", "tokens": 4},
        condition={"feature": 6, "above": 0.5},
        control={"kind": "random", "seed": 3},
    )
    assert row_of(session, scheduled)["where"].split(" · ") == [
        "generated tokens only",
        "positions 2 to the end",
        "first token too",
        "special tokens too",
        "stop after 4",
        "if #6 > 0.5",
        "along random direction 3",
    ]
    assert row_of(session, intervention(strength=1.0, unit="raw"))["where"] == ""


def test_a_slider_reaches_ten_maxima_however_small_they_are(session):
    from ui.rack import row_of

    for maximum in (0.003, 7.0, 20_000.0):
        far, step = row_of(session, intervention(strength=1.0, max_act=maximum))["reach"]["raw"]
        assert far == pytest.approx(10 * maximum, rel=0.01)
        assert 0 < step < far / 100


def test_a_row_in_another_unit_comes_to_the_same(session):
    from ui.rack import converted, read_intervention

    before = intervention(strength=0.5, unit="norm")
    row = converted(session, before.model_dump(mode="json"), "raw")
    after = read_intervention(row["intervention"])
    assert after.unit == "raw"
    assert after.strength == session.resolve(before).raw


@pytest.mark.parametrize(
    ("typed", "feature", "strength", "unit"),
    [
        ("3", 3, 1.0, "max_act"),
        (" #3 ", 3, 1.0, "max_act"),
        ("sae/3", 3, 1.0, "max_act"),
        ("sae/#3", 3, 1.0, "max_act"),
        ("3=2.5", 3, 2.5, "max_act"),
        ("#3=-2.5raw", 3, -2.5, "raw"),
        ("sae/#3:add=.5norm", 3, 0.5, "norm"),
        ("3:ablate", 3, None, None),
        ("https://www.neuronpedia.org/tiny/8-res-jb/3", 3, 1.0, "max_act"),
        ("neuronpedia.org/tiny/8-res-jb/3/", 3, 1.0, "max_act"),
        ("neuronpedia.org/tiny/8-res-jb/3?embed=true&x=1", 3, 1.0, "max_act"),
        ("neuronpedia.org/tiny/8-res-jb/3=2", 3, 2.0, "max_act"),
    ],
)
def test_a_typed_feature_is_added(session, typed, feature, strength, unit):
    from ui.rack import is_typed_feature, typed_feature

    assert is_typed_feature(typed)
    made = typed_feature(session, typed)
    assert (made.feature, made.strength, made.unit) == (feature, strength, unit)


@pytest.mark.parametrize("words", ["golden gate", "fog", "", "3 bridges", "and/or", "<b>1</b>"])
def test_words_are_searched_for(words):
    from ui.rack import is_typed_feature

    assert not is_typed_feature(words)


@pytest.mark.parametrize("typed", ["1234=abc", "3=", "3=2furlongs", "3:scale", "3=1e999"])
def test_a_strength_that_is_no_number_is_refused(session, typed):
    from steering.errors import StrengthError
    from ui.rack import is_typed_feature, typed_feature

    assert is_typed_feature(typed)
    with pytest.raises(StrengthError):
        typed_feature(session, typed)


@pytest.mark.parametrize("typed", ["64", "-1", "64=1raw"])
def test_a_feature_that_is_not_there_is_refused(session, typed):
    from steering.errors import FeatureError
    from ui.rack import is_typed_feature, typed_feature

    assert is_typed_feature(typed)
    with pytest.raises(FeatureError):
        typed_feature(session, typed)


def test_a_feature_whose_maximum_is_unknown_is_added_in_norms(session, unknown):
    from steering.errors import StrengthError
    from ui.rack import ADDED_AT_NORM, new_intervention, row_of, typed_feature

    made = new_intervention(session, None, 3)
    assert (made.strength, made.unit) == (ADDED_AT_NORM, "norm")
    assert typed_feature(session, "3") == made
    row = row_of(session, made)
    assert (row["max"], row["max_source"]) == (None, None)
    with pytest.raises(StrengthError, match="unknown"):
        typed_feature(session, "3=2")


def test_a_rack_shows_whose_feature_it_is_where_there_are_several(session):
    from steering.session import Session
    from ui.rack import row_of

    two = Session(session.model, {"a": tiny.sae(), "b": tiny.sae(seed=1)})
    edit = intervention(strength=1.0, unit="raw", sae="b")
    assert row_of(two, edit)["name"] == "b/#3"
    assert row_of(session, intervention(strength=1.0, unit="raw"))["name"] == "#3"


def test_a_label_passes_as_plain_data(session, monkeypatch):
    from steering.features import FeatureFacts
    from ui.rack import row_of, summary

    label = "<img src=x onerror=1>"
    monkeypatch.setattr(session.saes["sae"], "facts", {3: FeatureFacts(max_act=2.0, label=label)})
    row = row_of(session, intervention(strength=1.0))
    assert (row["label"], row["max_source"]) == (label, "features file")
    assert label in summary([intervention(strength=1.0)], [row["label"]])[0]


def test_a_summary_says_more_or_less_and_leaves_neutral_edits_out():
    from ui.rack import summary

    asked = [
        intervention(strength=2.0),
        intervention(strength=-0.5, unit="norm", edit="add"),
        intervention(edit="ablate"),
        intervention(edit="scale", strength=1.0),
    ]
    said = summary(asked, ["fog"] * 4)
    assert [line.split()[0] for line in said] == ["Boost", "Reduce", "Reduce"]
    assert [line.partition("(")[2] for line in said] == [
        "clamp 2 × max)",
        "add -0.5 × norm)",
        "ablate)",
    ]


def test_a_summary_says_along_what_a_control_goes():
    from ui.rack import summary

    controls = ({"kind": "random", "seed": 3}, {"kind": "feature", "feature": 7})
    asked = [intervention(strength=2.0, control=control) for control in controls]
    assert summary(asked, ["fog", "bay"]) == [
        "As strongly as for “fog” (clamp 2 × max), along random direction 3",
        "As strongly as for “bay” (clamp 2 × max), along #7",
    ]


def test_the_maxima_of_the_session_go_along_and_are_taken_out_again(session, monkeypatch):
    from steering.features import FeatureFacts
    from ui.rack import with_maxima, without_known_maxima

    facts = {3: FeatureFacts(max_act=2.0, label="fog")}
    monkeypatch.setattr(session.saes["sae"], "facts", facts)
    asked = (
        intervention(strength=1.5),
        intervention(strength=1.5, max_act=4.0),
        intervention(strength=0.1, unit="norm"),
        intervention(edit="ablate"),
        plain_direction(),
    )
    pinned = with_maxima(session, asked)
    assert [each.max_act for each in pinned] == [2.0, 4.0, None, None, None]
    assert without_known_maxima(session, pinned) == asked
    assert with_maxima(session, pinned) == pinned


def test_an_estimated_maximum_goes_along_and_stays(session):
    from ui.rack import with_maxima, without_known_maxima

    (pinned,) = with_maxima(session, [intervention(strength=1.5)])
    assert pinned.max_act == session.resolve(intervention(strength=1.5)).max_act
    assert session.resolve(pinned).raw == session.resolve(intervention(strength=1.5)).raw
    assert without_known_maxima(session, [pinned]) == (pinned,)


def test_a_full_rack_takes_no_further_row(session):
    from steering.errors import FeatureError
    from ui.rack import EMPTY, rack_of, require_room
    from ui.state import MOST_ROWS

    edit = intervention(strength=1.0, unit="raw")
    require_room(EMPTY)
    require_room(rack_of(session, [edit] * (MOST_ROWS - 1)))
    with pytest.raises(FeatureError, match=f"holds {MOST_ROWS} rows. Remove one"):
        require_room(rack_of(session, [edit] * MOST_ROWS))


def test_strangers_have_no_file_read():
    from steering.errors import FeatureError
    from ui.rack import refuse_files

    refuse_files(rows())
    with pytest.raises(FeatureError, match="file of the machine"):
        refuse_files([*rows(), plain_direction()])
