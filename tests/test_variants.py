"""Interventions turned into those beside which they are shown."""

import pytest

from tests.tiny import intervention


def test_at_strength_multiplies_what_a_strength_adds_and_nothing_else():
    from steering.variants import at_strength

    asked = [
        intervention(strength=2.0, unit="norm"),
        intervention(edit="scale", strength=3.0),
        intervention(edit="ablate"),
    ]
    made = at_strength(asked, 0.5)
    assert [each.strength for each in made] == [1.0, 2.0, None]
    assert [each.model_copy(update={"strength": None}) for each in made] == [
        each.model_copy(update={"strength": None}) for each in asked
    ]
    assert at_strength(asked, 1.0) == tuple(asked)


def test_at_no_strength_every_edit_with_a_strength_is_neutral():
    from steering.variants import at_strength

    asked = [
        intervention(edit="add", strength=2.0, unit="norm"),
        intervention(edit="scale", strength=3.0),
        intervention(edit="scale", strength=0.0),
    ]
    assert all(each.is_neutral for each in at_strength(asked, 0.0))
    assert [each.strength for each in at_strength(asked, -1.0)] == [-2.0, -1.0, 2.0]


@pytest.mark.parametrize("factor", [float("inf"), float("nan"), 1e308])
def test_a_strength_that_is_no_number_any_more_is_refused(factor):
    from steering.errors import StrengthError
    from steering.variants import at_strength

    with pytest.raises(StrengthError, match=r"feature 3: clamp 10.*finite factor"):
        at_strength([intervention(strength=10.0)], factor)


def test_along_random_changes_the_direction_and_nothing_else():
    from steering.interventions import FeatureControl, RandomControl
    from steering.variants import along_random

    asked = [
        intervention(strength=2.0, control=FeatureControl(feature=1)),
        intervention(edit="ablate"),
    ]
    made = along_random(asked, 7)
    assert [each.control for each in made] == [RandomControl(seed=7)] * 2
    assert made[1].model_copy(update={"control": None}) == asked[1]
