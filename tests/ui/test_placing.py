"""Controls for positions, schedule and condition, and back."""

import itertools

import pytest

from tests.tiny import intervention


def conditions():
    from steering.interventions import Condition

    return [
        None,
        Condition(feature=7),
        Condition(feature=0, sae="a.b-c", above=-1.5, on="prompt", tokens=9),
    ]


def placed():
    """An intervention for every combination of what the controls can say."""
    from steering.interventions import Positions, Schedule

    kinds = ("constant", "ramp", "decay", "stop_after", "every_n")
    wheres = itertools.product(("all", "prompt", "generated"), (False, True), (False, True))
    for (where, first, special), kind, condition in itertools.product(wheres, kinds, conditions()):
        yield intervention(
            strength=1.0,
            positions=Positions(where=where, first=first, special=special),
            schedule=Schedule(kind=kind, tokens=3),
            condition=condition,
        )


def test_the_controls_bring_back_every_placing():
    from ui.placing import placing_of, values_of

    plain = intervention(strength=1.0)
    for each in placed():
        assert placing_of(*values_of((each,))).of(plain) == each


def test_the_controls_begin_at_the_schema_s_own_defaults():
    from ui.placing import NAMES, Placing, controls, placing_of, values_of

    assert placing_of(*values_of(())) == Placing()
    shown = [control.value for control in controls()]
    assert len(shown) == len(NAMES)
    assert placing_of(*shown) == Placing()


def test_placing_changes_nothing_else_and_keeps_the_bounds_that_only_a_preset_sets():
    from ui.placing import Placing

    own = intervention(strength=2.0, unit="raw", edit="add", positions={"start": 2, "stop": 9})
    assert Placing().of(own) == own


@pytest.mark.parametrize(
    ("typed", "feature", "sae"),
    [("557", 557, None), (" #557 ", 557, None), ("res/557", 557, "res"), ("a/#5", 5, "a")],
)
def test_a_watched_feature_is_read_as_it_is_shown(typed, feature, sae):
    from ui.placing import placing_of, values_of

    values = values_of(())
    values[5] = typed
    condition = placing_of(*values).condition
    assert condition is not None
    assert (condition.feature, condition.sae) == (feature, sae)


@pytest.mark.parametrize("typed", ["fog", "-1", "1.5", "a/b/1", "<img src=x onerror=1>"])
def test_a_watched_feature_that_is_no_number_is_refused(typed):
    from steering.errors import FeatureError
    from ui.placing import placing_of, values_of

    values = values_of(())
    values[5] = typed
    with pytest.raises(FeatureError, match="Cannot read the watched feature"):
        placing_of(*values)


@pytest.mark.parametrize(("at", "value"), [(0, "some"), (3, "cake"), (4, 0), (4, None), (8, 0)])
def test_a_control_out_of_range_is_refused_in_words(at, value):
    from steering.errors import StrengthError
    from ui.placing import placing_of, values_of

    values = values_of(())
    values[5], values[at] = "3", value
    with pytest.raises(StrengthError, match="Cannot steer there"):
        placing_of(*values)


def apart():
    """Two edits at different places."""
    return (
        intervention(strength=1.0, positions={"where": "prompt", "start": 2}),
        intervention(
            4,
            strength=1.0,
            positions={"first": True},
            schedule={"kind": "decay", "tokens": 3},
            condition={"feature": 7},
        ),
    )


def test_controls_that_nobody_touched_write_nothing():
    from ui.placing import replaced, values_of

    shown = values_of(apart())
    assert replaced(apart(), shown, shown) == apart()
    shown[4] = 0
    assert replaced(apart(), shown, shown) == apart()


def test_only_what_a_person_changed_is_written_into_the_rows():
    from ui.placing import NAMES, replaced, values_of

    shown = values_of(apart())

    def changed(**values):
        after = [values.get(name, was) for name, was in zip(NAMES, shown, strict=True)]
        return replaced(apart(), shown, after)

    first, second = apart()
    one, other = changed(special=True)
    assert one.positions == first.positions.model_copy(update={"special": True})
    assert other.positions == second.positions.model_copy(update={"special": True})
    for mine, before in ((one, first), (other, second)):
        assert (mine.schedule, mine.condition) == (before.schedule, before.condition)
    one, other = changed(kind="ramp", tokens=5)
    assert (one.schedule.kind, one.schedule.tokens) == ("ramp", 5)
    assert other.schedule == one.schedule
    assert (one.positions, other.positions) == (first.positions, second.positions)
    assert (one.condition, other.condition) == (first.condition, second.condition)
    one, other = changed(watched="9", above=0.5)
    assert one.condition == other.condition != second.condition
    assert (one.schedule, other.schedule) == (first.schedule, second.schedule)
