"""Presets as cards, on the page, and from the page."""

import pytest

from tests import tiny
from tests.tiny import intervention
from tests.ui.pages import host, state, turns


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A host whose model and SAE lie in folders, so that a preset can name them."""
    from steering.session import Session

    home = tmp_path_factory.mktemp("page")
    model = tiny.tiny_model_folder(home / "model", chat=True)
    return host(Session.load(model, tiny.tiny_sae_folder(home / "sae"), device="cpu"))


def about(**fields):
    from steering.presets.use import About

    return About(**{"name": "mine", "title": "Mine", **fields})


def edits():
    return (
        intervention(
            strength=0.5, unit="norm", edit="add", schedule={"kind": "decay", "tokens": 4}
        ),
        intervention(4, strength=-2.5, max_act=4.0, enabled=False, condition={"feature": 7}),
        intervention(5, edit="ablate", positions={"where": "generated", "first": True}),
        intervention(6, edit="scale", strength=2.0, control={"kind": "random", "seed": 3}),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"chat": True, "system": "S", "prompt": "you"},
        {
            "chat": True,
            "prompt": "you",
            "turns": turns(("we", {"baseline": "fog", "steered": "fog"})),
        },
    ],
)
def test_a_preset_of_the_page_brings_the_page_back(page, tmp_path, fields):
    from steering.interventions import Sampling
    from steering.presets import load_preset, save_preset
    from ui.gallery import preset_of, state_with

    how = Sampling(seed=5, stop=("\n",), top_k=3)
    asked = state(page, interventions=edits(), sampling=how, **fields)
    save_preset(preset_of(asked, page.session, about()), tmp_path)
    read = load_preset("mine", tmp_path)
    assert state_with(read, page.session, asked) == asked
    empty = state(page, prompt="", on=False)
    assert state_with(read, page.session, empty) == asked


def test_a_chat_that_waits_is_saved_before_its_last_message(page):
    from ui.gallery import preset_of

    past = turns(("we", {"baseline": "fog", "steered": "bay"}), ("you", {"baseline": "sea"}))
    asked = state(page, 3, chat=True, turns=past, prompt="")
    (prompt,) = preset_of(asked, page.session, about()).prompts
    assert [each.content for each in prompt if not isinstance(each, str)] == ["we", "bay", "you"]


def test_a_preset_without_a_prompt_leaves_the_page_s_own(page):
    from ui.gallery import preset_of, state_with

    preset = preset_of(state(page, 3, prompt=""), page.session, about())
    assert preset.prompts == ()
    for fields in ({"chat": True, "system": "S", "prompt": "you"}, {"prompt": "the sea"}):
        shown = state_with(preset, page.session, state(page, **fields))
        assert shown == state(page, 3, **fields).model_copy(update={"sampling": preset.sampling})


def test_a_preset_of_another_sae_is_refused(page):
    from steering.errors import PresetError
    from steering.presets import load_preset
    from ui.gallery import state_with

    with pytest.raises(PresetError, match="fingerprint"):
        state_with(load_preset("golden-gate"), page.session, state(page))


@pytest.mark.parametrize("fields", [{"name": ""}, {"title": ""}, {"name": "../x"}])
def test_a_preset_that_cannot_be_named_is_refused(page, fields):
    from steering.errors import PresetError
    from ui.gallery import preset_of

    with pytest.raises(PresetError):
        preset_of(state(page, 3), page.session, about(**fields))


def test_a_page_without_features_is_no_preset(page):
    from steering.errors import PresetError
    from ui.gallery import preset_of

    with pytest.raises(PresetError):
        preset_of(state(page), page.session, about())


def test_a_broken_file_is_a_card_that_says_what_is_wrong(page, tmp_path):
    from steering.presets import save_preset
    from ui.gallery import cards, preset_of

    bad = "<img src=x onerror=1>"
    sample = {"prompt": "x", "baseline": "y", "steered": "z" * 300, "seed": 0}
    preset = preset_of(state(page, 3), page.session, about(title=bad, description=bad))
    save_preset(type(preset).model_validate({**preset.model_dump(), "samples": [sample]}), tmp_path)
    (tmp_path / "broken.json").write_text("{")
    found = cards(tmp_path, picked="mine")
    assert found["picked"] == "mine"
    assert found["cards"][0]["name"] == "golden-gate"
    by_name = {card["name"]: card for card in found["cards"]}
    assert by_name["golden-gate"]["own"] is False
    assert by_name["broken"]["problem"]
    mine = by_name["mine"]
    assert (mine["title"], mine["description"], mine["own"]) == (bad, bad, True)
    assert mine["example"] == "z" * 240 + "…"
    assert not any(card["own"] for card in cards(tmp_path, writable=False)["cards"])


def test_a_preset_s_questions_are_what_a_person_would_type(page):
    from ui.gallery import preset_of, questions_of

    preset = preset_of(state(page, 3), page.session, about())
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "Who?"}]
    several = type(preset).model_validate({**preset.model_dump(), "prompts": ["fog", chat, []]})
    assert questions_of(several) == ["fog", "Who?", ""]


@pytest.mark.parametrize(
    ("title", "slug"),
    [("Golden Gate, 10 × max!", "golden-gate-10-max"), ("日本", ""), ("a" * 63 + " b", "a" * 63)],
)
def test_a_file_name_comes_from_the_title(title, slug):
    from ui.gallery import slug_of

    assert slug_of(title) == slug
