"""Presets between the page and their files."""

import json

import pytest

from tests import tiny
from tests.ui.pages import host, state


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session whose model and SAE lie in folders, so that a preset can name them."""
    from steering.session import Session

    home = tmp_path_factory.mktemp("page")
    model = tiny.tiny_model_folder(home / "model", chat=True)
    return Session.load(model, tiny.tiny_sae_folder(home / "sae"), device="cpu")


@pytest.fixture
def page(session, tmp_path):
    """A host with a folder of its own for presets."""
    made = host(session)
    made.presets = tmp_path / "presets"
    made.presets.mkdir()
    return made


def saved(page, title="Mine", **fields):
    from ui.shelf import save_new

    return save_new(title, "What it does.", state(page, 3, **fields), None, page)


def test_a_preset_is_taken_by_its_name(page):
    from ui.shelf import take

    assert saved(page) == "mine"
    assert take("mine", page.presets).title == "Mine"
    assert take("golden-gate", page.presets).name == "golden-gate"


def test_a_path_is_no_name_and_no_file_is_opened(page, tmp_path):
    from steering.errors import PresetError
    from ui.shelf import take

    saved(page)
    outside = tmp_path / "secret.json"
    outside.write_text((page.presets / "mine.json").read_text())
    (tmp_path / "secret.json.json").write_text(outside.read_text())
    names = [str(outside), f"{outside}.json", "../secret", "mine.json", "/some/path.json.json", ""]
    for name in names:
        with pytest.raises(PresetError, match="There is no preset"):
            take(name, page.presets)


def test_a_broken_preset_says_what_is_wrong_with_it(page):
    from steering.errors import PresetError
    from ui.shelf import take

    (page.presets / "broken.json").write_text("{")
    with pytest.raises(PresetError, match="not valid JSON"):
        take("broken", page.presets)


def test_saving_again_keeps_the_name_the_description_and_the_other_prompts(page):
    from steering.presets import load_preset, save_preset
    from ui.shelf import save_again

    saved(page, prompt="one")
    before = load_preset("mine", page.presets)
    several = before.model_copy(update={"prompts": ("one", "two", "three")})
    save_preset(several, page.presets, overwrite=True)
    for prompt, prompts in (
        ("two", ("two", "one", "three")),
        ("four", ("four", "two", "one", "three")),
        ("", ("four", "two", "one", "three")),
    ):
        assert save_again("mine", state(page, 5, prompt=prompt), None, page) == "mine"
        after = load_preset("mine", page.presets)
        assert after.prompts == prompts
        assert (after.title, after.description) == ("Mine", "What it does.")
        assert [each.intervention.feature for each in after.interventions] == [5]


def test_a_given_file_comes_into_the_gallery_and_over_nothing(page, tmp_path):
    from ui.shelf import as_file, take, take_file

    made = as_file("Mine", state(page, 5), None, page)
    path = tmp_path / made["file"]
    path.write_text(made["text"])
    preset, note = take_file(path, page)
    assert (preset.name, note) == ("mine", None)
    assert take("mine", page.presets) == preset
    other = as_file("Mine", state(page, 9), None, page)
    path.write_text(other["text"])
    again, note = take_file(path, page)
    assert [each.intervention.feature for each in again.interventions] == [9]
    assert note is not None
    assert note.startswith("It is on the page and not in the gallery.")
    assert take("mine", page.presets) == preset


def test_a_file_that_cannot_be_read_is_called_as_the_person_calls_it(page, tmp_path):
    from steering.errors import PresetError
    from ui.shelf import take_file

    path = tmp_path / "cake.json"
    path.write_text("{")
    with pytest.raises(PresetError, match=r"'cake\.json' is not valid JSON") as caught:
        take_file(path, page)
    assert str(tmp_path) not in str(caught.value)


def test_on_a_shared_address_nothing_is_written_or_deleted(page, tmp_path):
    from steering.errors import PresetError
    from ui.shelf import as_file, remove, save_again, take_file

    saved(page)
    before = (page.presets / "mine.json").read_text()
    page.trusted = False
    for work in (
        lambda: saved(page, "Another"),
        lambda: save_again("mine", state(page, 5), None, page),
        lambda: remove("mine", page),
    ):
        with pytest.raises(PresetError, match="shared address"):
            work()
    made = as_file("Given", state(page, 5), None, page)
    (tmp_path / made["file"]).write_text(made["text"])
    assert take_file(tmp_path / made["file"], page)[1] is None
    assert [each.name for each in page.presets.iterdir()] == ["mine.json"]
    assert (page.presets / "mine.json").read_text() == before


def test_a_preset_put_on_a_page_of_before_is_of_what_is_loaded_now(page):
    from ui.shelf import put_on, take
    from ui.tabs.steer import made_on

    saved(page)
    stale = state(page, 9, model="other", saes={"gone": "0" * 16}, system="S", blind=True)
    made = put_on(take("mine", page.presets), page, stale)
    assert {"model": made.model, "saes": made.saes} == made_on(page)
    assert [each.feature for each in made.interventions] == [3]
    assert (made.system, made.blind) == ("S", True)


def test_a_preset_of_another_sae_is_an_offer_and_not_put_on(page):
    from ui.shelf import OtherSae, put_on, take

    with pytest.raises(OtherSae, match=r"that comes with the program.*Load that model"):
        put_on(take("golden-gate", page.presets), page, state(page))


def test_what_went_through_the_browser_is_checked(page):
    from steering.errors import PresetError
    from ui.shelf import checked, take

    saved(page)
    preset = take("mine", page.presets)
    assert checked(json.loads(json.dumps(preset.model_dump(mode="json")))) == preset
    for data in (None, {}, {"name": "../x"}, [1]):
        with pytest.raises(PresetError, match="Not a preset"):
            checked(data)
