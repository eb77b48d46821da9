"""Between the page's components and its state."""

import pytest

from tests.tiny import intervention
from tests.ui.pages import host, plain_direction, state, turns


def placed_edits():
    return (
        intervention(
            strength=0.5,
            unit="norm",
            positions={"where": "generated", "start": 2, "first": True},
            schedule={"kind": "decay", "tokens": 4},
            condition={"feature": 7, "sae": "sae", "above": 0.5, "on": "prompt", "tokens": 2},
        ),
        intervention(4, strength=-2.5, max_act=4.0, enabled=False),
        intervention(5, edit="ablate", control={"kind": "random", "seed": 3}),
    )


def full(page):
    """A state in which nothing has its default."""
    from steering.interventions import Sampling

    return state(
        page,
        on=False,
        interventions=placed_edits(),
        chat=True,
        system="S",
        turns=turns(("u", {"baseline": "", "steered": "b"})),
        sampling=Sampling(max_new_tokens=7, top_k=5, seed=2**62 + 1, stop=("\n", "User:")),
        panes=[{"kind": "strength"}, {"kind": "random"}, {"kind": "system", "text": "Be it."}],
        blind=True,
    )


def changed(values, **said):
    """The values with some components changed, by name."""
    from ui import form, placing, sampling

    names = [*form.NAMES, *sampling.NAMES, *placing.NAMES]
    return [said.get(name, was) for name, was in zip(names, values, strict=True)]


def test_a_form_brings_every_state_back_also_through_the_browser():
    import json

    from ui.form import current, fill_form, read_form

    page = host()
    for asked in (full(page), state(page), state(page, 3, 5, prompt="")):
        values = json.loads(json.dumps(fill_form(page.session, asked)))
        assert read_form(values) == asked
        assert current(page, values) == asked


def test_a_control_that_was_left_a_moment_ago_counts_and_the_other_places_stay():
    from ui.form import fill_form, read_form

    page = host()
    values = fill_form(page.session, full(page))
    made = read_form(changed(values, special=True)).interventions
    for mine, before in zip(made, placed_edits(), strict=True):
        positions = before.positions.model_copy(update={"special": True})
        assert mine == before.model_copy(update={"positions": positions})


def test_an_empty_text_box_may_be_none():
    from ui.form import fill_form, read_form

    page = host()
    values = changed(fill_form(page.session, state(page)), prompt=None, system=None)
    made = read_form(values)
    assert (made.prompt, made.system) == ("", "")


def test_before_a_model_is_loaded_the_form_says_so():
    from steering.errors import SteeringError
    from ui.form import current, fill_form, read_form

    page = host()
    values = changed(fill_form(page.session, full(page)), made_on=None)
    with pytest.raises(SteeringError, match="No model is loaded"):
        read_form(values)
    with pytest.raises(SteeringError, match="No model is loaded"):
        current(page, values)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"extras": [{"kind": "cake"}]}, "Cannot use what is set"),
        ({"extras": [{"kind": "strength"}] * 7}, "Cannot use what is set"),
        ({"turns": [{"user": 3}]}, "Cannot use what is set"),
        ({"prompt": "x" * 100_001}, "Cannot use what is set"),
        ({"rack": None}, "The rack cannot be read"),
        ({"temperature": -1}, "Cannot write like that"),
        ({"watched": "fog"}, "Cannot read the watched feature"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(said, words):
    from steering.errors import SteeringError
    from ui.form import fill_form, read_form

    page = host()
    values = changed(fill_form(page.session, state(page, 3)), **said)
    with pytest.raises(SteeringError, match=words):
        read_form(values)


def test_a_page_of_another_model_or_sae_is_not_used():
    from ui.form import current, fill_form
    from ui.links import LinkError
    from ui.tabs.steer import made_on

    page = host()
    values, loaded = fill_form(page.session, full(page)), made_on(page)
    for other in ({**loaded, "model": "other"}, {**loaded, "saes": {"sae": "0" * 16}}):
        with pytest.raises(LinkError, match="Reload the page"):
            current(page, changed(values, made_on=other))


def test_a_plain_direction_is_for_the_owner_of_the_machine_alone():
    from steering.errors import FeatureError
    from ui.form import current, fill_form

    page = host()
    asked = state(page, interventions=[plain_direction()])
    values = fill_form(page.session, asked)
    assert current(page, values) == asked
    page.trusted = False
    with pytest.raises(FeatureError, match="may come from anyone"):
        current(page, values)
