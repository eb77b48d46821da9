"""The schema: what it accepts, what it refuses by name."""

import math

import pytest
from pydantic import ValidationError


def intervention(**fields):
    from steering.interventions import Intervention

    return Intervention(**fields)


def test_clamp_in_multiples_of_max_act_is_the_default():
    made = intervention(feature=3, strength=10)
    assert (made.edit, made.unit, made.strength) == ("clamp", "max_act", 10.0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"feature": -1, "strength": 1}, "greater than or equal to 0"),
        ({"feature": 3}, "clamp needs a strength"),
        ({"strength": 1}, "either a feature or a direction"),
        ({"feature": 3, "strength": math.nan}, "finite"),
        ({"feature": 3, "strength": math.inf}, "finite"),
        ({"feature": 3, "strength": 1, "unit": "percent"}, "'max_act', 'norm' or 'raw'"),
        ({"feature": 3, "strength": 1, "edit": "steer"}, "'add', 'clamp'"),
        ({"feature": 3, "strength": 1, "max_act": 0}, "greater than 0"),
        ({"feature": 3, "edit": "scale", "strength": 1, "unit": "raw"}, "scale carries no unit"),
        ({"feature": 3, "edit": "ablate", "strength": 1}, "takes no strength"),
        ({"feature": 3, "strength": 1, "strenght": 1}, "strenght"),
        ({"feature": 3, "strength": 1, "positions": {"start": 4, "stop": 4}}, "not after 4"),
        (
            {"direction": {"path": "x", "hook_name": "y"}, "edit": "clamp", "strength": 1},
            "no activation to clamp",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(fields, why):
    with pytest.raises(ValidationError, match=why):
        intervention(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"feature": 3, "strength": 10},
        {"feature": 3, "edit": "scale", "strength": 2},
        {"feature": 3, "edit": "ablate", "sae": "a", "positions": {"where": "prompt"}},
        {"feature": 3, "strength": -2, "unit": "norm", "control": {"kind": "random", "seed": 4}},
        {"feature": 3, "strength": 1, "condition": {"feature": 9, "above": 2, "on": "prompt"}},
    ],
)
def test_json_and_back_is_the_same(fields):
    made = intervention(**fields)
    assert type(made).model_validate_json(made.model_dump_json()) == made


def test_nothing_can_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        intervention(feature=3, strength=1).strength = 2


@pytest.mark.parametrize(
    ("fields", "neutral"),
    [
        ({"edit": "add", "strength": 0}, True),
        ({"edit": "add", "strength": -0.0}, True),
        ({"edit": "scale", "strength": 1}, True),
        ({"edit": "clamp", "strength": 5, "enabled": False}, True),
        ({"edit": "clamp", "strength": 0}, False),
        ({"edit": "scale", "strength": 0}, False),
        ({"edit": "ablate"}, False),
    ],
)
def test_neutral_is_add_zero_scale_one_or_switched_off(fields, neutral):
    assert intervention(feature=3, **fields).is_neutral is neutral


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"max_new_tokens": 0},
        {"seed": -1},
        {"stop": ("",)},
        {"repetition_penalty": 0},
        {"frequency_penalty": 2},
    ],
    ids=str,
)
def test_sampling_out_of_range_is_refused(fields):
    from steering.interventions import Sampling

    with pytest.raises(ValidationError):
        Sampling(**fields)


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({"edit": "add", "strength": 2}, "boost"),
        ({"edit": "add", "strength": -2}, "reduce"),
        ({"edit": "add", "strength": 0}, "none"),
        ({"edit": "clamp", "strength": 2}, "boost"),
        ({"edit": "clamp", "strength": 0}, "reduce"),
        ({"edit": "clamp", "strength": -2}, "reduce"),
        ({"edit": "floor", "strength": 2}, "boost"),
        ({"edit": "cap", "strength": 2}, "reduce"),
        ({"edit": "scale", "strength": 2}, "boost"),
        ({"edit": "scale", "strength": 1}, "none"),
        ({"edit": "scale", "strength": 0}, "reduce"),
        ({"edit": "ablate"}, "reduce"),
        ({"edit": "ablate", "enabled": False}, "none"),
    ],
)
def test_an_edit_says_whether_it_means_more_of_its_feature_or_less(fields, effect):
    assert intervention(feature=3, **fields).effect == effect


def test_a_control_keeps_its_kind_where_defaults_are_left_out():
    from steering.interventions import FeatureControl, Intervention, RandomControl

    for control in (RandomControl(), RandomControl(seed=3), FeatureControl(feature=5)):
        made = intervention(feature=3, strength=1.0, control=control)
        assert Intervention.model_validate(made.model_dump(exclude_defaults=True)) == made
        assert Intervention.model_validate_json(made.model_dump_json(exclude_defaults=True)) == made
