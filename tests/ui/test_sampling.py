"""Controls for sampling, and back."""

import pytest


def test_the_controls_bring_back_every_sampling():
    from steering.interventions import Sampling
    from ui.sampling import sampling_of, values_of

    for fields in (
        {},
        {"max_new_tokens": 7, "temperature": 0.0, "top_k": 5, "top_p": 0.9, "min_p": 0.1},
        {"repetition_penalty": 1.3, "seed": 2**62 + 1, "stop_at_eos": False},
        {"stop": ("Human:", " a b ", "\n", "\n\n", "\\n", "\\", "x\r\ny", "🌉", r"\d", r"\\n")},
    ):
        asked = Sampling.model_validate(fields)
        assert sampling_of(*values_of(asked)) == asked


def test_the_controls_begin_at_the_schema_s_own_defaults():
    from steering.interventions import Sampling
    from ui.sampling import NAMES, controls, sampling_of

    shown = [control.value for control in controls()]
    assert len(shown) == len(NAMES)
    assert sampling_of(*shown) == Sampling()


def test_what_limits_nothing_is_no_limit():
    from steering.interventions import Sampling
    from ui.sampling import sampling_of, values_of

    assert sampling_of(*values_of(Sampling(top_p=1.0, min_p=0.0))) == Sampling()


def test_a_stop_text_is_typed_on_a_line_of_its_own():
    from steering.interventions import Sampling
    from ui.sampling import sampling_of, values_of

    values = values_of(Sampling())
    values[7] = "Human:\n\n\\nUser:\nC:\\dir\n"
    assert sampling_of(*values).stop == ("Human:", "\nUser:", "C:\\dir")
    values[7] = None
    assert sampling_of(*values).stop == ()


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 0), (0, 1.5), (0, None), (1, -1), (1, float("nan")), (5, "-1"), (5, "many"), (6, -2)],
)
def test_a_control_out_of_range_is_refused_in_words(at, value):
    from steering.errors import StrengthError
    from steering.interventions import Sampling
    from ui.sampling import sampling_of, values_of

    values = values_of(Sampling())
    values[at] = value
    with pytest.raises(StrengthError, match="Cannot write like that"):
        sampling_of(*values)
