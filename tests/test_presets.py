"""Presets: what a file keeps, what it refuses, and that it comes to the same numbers again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import tiny

ROOT = Path(__file__).parent.parent


def plain(**fields):
    """A preset file's content that is fine."""
    edit = {"feature": 3, "edit": "clamp", "strength": 10.0, "unit": "max_act"}
    entry = {"intervention": edit, "sae": "sae", "hook_name": "blocks.1.hook_resid_post"}
    return {
        "schema_version": 1,
        "name": "bridge",
        "title": "A bridge",
        "description": "Speaks of a bridge.",
        "model": "tiny",
        "saes": {"sae": {"folder": "somewhere", "fingerprint": "0123456789abcdef"}},
        "interventions": [
            {**entry, "raw": 40.0, "max_act": 4.0, "max_act_source": "features file"}
        ],
        "prompts": ["the bridge", [{"role": "user", "content": "who are you"}]],
        **fields,
    }


def written(folder: Path, content, name: str = "bridge") -> Path:
    """A preset file with this content: plain data, or text as it is."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """An empty folder of packaged presets."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    monkeypatch.setattr("steering.presets.files.packaged_folder", lambda: folder)
    return folder


@pytest.fixture
def own(tmp_path, packaged):
    """A person's own folder, which does not exist yet."""
    return tmp_path / "own"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A tiny session whose SAE lies in a folder, so that a preset can name it."""
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    folder = tiny.tiny_sae_folder(tmp_path_factory.mktemp("sae"))
    model = LanguageModel("tiny", tiny.hf_model(), tiny.tokenizer())
    return Session(model, {"sae": Sae.load(folder)})


def made(session, name: str = "bridge", *, title: str = "A bridge", interventions=(), **fields):
    """A preset of these interventions, or of one clamp."""
    from steering.presets.use import About, make_preset

    asked = interventions or [tiny.intervention(strength=9.0, unit="raw")]
    return make_preset(session, asked, About(name, title), **fields)


def test_a_preset_is_read_back_as_it_was_saved(own, session):
    from steering.interventions import Message, Sampling
    from steering.presets import SavedSample, load_preset, save_preset

    chat = (Message(role="user", content="who are you"),)
    preset = made(
        session,
        interventions=[
            tiny.intervention(strength=2.0, unit="max_act"),
            tiny.intervention(feature=5, edit="add", strength=0.1, unit="norm"),
            tiny.intervention(feature=7, edit="scale", strength=3.0, unit=None),
        ],
        sampling=Sampling(seed=4, stop=("\n",)),
        prompts=["the bridge", chat],
        samples=[SavedSample(prompt="the", baseline="a", steered="b", seed=4)],
    )
    path = save_preset(preset, own)
    assert path == own / "bridge.json"
    assert load_preset("bridge", own) == preset == load_preset(path) == load_preset(str(path))
    first = preset.interventions[0]
    assert first.max_act_source is not None
    assert first.max_act_source.startswith("estimate")
    assert first.max_act is not None
    assert first.raw == pytest.approx(2.0 * first.max_act)


def test_a_preset_file_of_the_documented_form_is_fine(own):
    from steering.presets import load_preset

    written(own, plain())
    preset = load_preset("bridge", own)
    assert preset.summary == "feature 3: clamp 10 × max_act"
    assert preset.interventions[0].raw == 40.0


def edited(path: str, value):
    """The documented form with one value put somewhere, or left out (`...`)."""
    data: Any = plain()
    at: Any = data
    parts: list[Any] = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parts[:-1]:
        at = at[part]
    if value is ...:
        del at[parts[-1]]
    else:
        at[parts[-1]] = value
    return data


ENTRY = "interventions.0"
EDIT = f"{ENTRY}.intervention"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not valid JSON"]),
        ("[]", ["holds a list"]),
        ("[" * 100_000, ["not valid JSON"]),
        ('{"schema_version": NaN}', ["NaN is not JSON"]),
        (" " * 1_000_001, ["larger than 1 MB"]),
        ('"\\ud800"', ["holds a str"]),
        (edited("schema_version", 2), ["schema_version 2", "reads version 1", "Update"]),
        (edited("schema_version", ...), ["schema_version is missing"]),
        (edited("schema_version", "1"), ["schema_version"]),
        (edited("titel", "x"), ["no field 'titel'", "did you mean 'title'"]),
        (edited("title", ...), ["title is missing"]),
        (edited("title", 3), ["title is 3", "valid string"]),
        (edited("title", "\ud800"), ["Invalid JSON"]),
        (edited("name", "../up"), ["name is '../up'", "pattern"]),
        (edited(f"{EDIT}.strenght", 3), [f"in {EDIT}", "did you mean 'strength'"]),
        (edited(f"{EDIT}.edit", "clmp"), ["edit is 'clmp'", "'clamp'"]),
        (edited(f"{EDIT}.feature", "3"), ["intervention.feature is '3'", "valid integer"]),
        (edited(f"{EDIT}.feature", True), ["intervention.feature is True"]),
        (edited(f"{EDIT}.feature", -1), ["feature is -1", "greater than or equal to 0"]),
        (edited(f"{EDIT}.unit", "volts"), ["unit is 'volts'", "'max_act', 'norm' or 'raw'"]),
        (edited(f"{EDIT}.control", {"kind": "random", "sed": 1}), ["'sed'", "'seed'"]),
        (edited(f"{EDIT}.control", {"kind": "odd"}), ["control", "'random', 'feature'"]),
        (edited(f"{ENTRY}.sae", "other"), ["needs SAE 'other'", "saes has sae"]),
        (edited(f"{ENTRY}.raw", 41.0), ["raw is 41", "comes to 40"]),
        (edited(f"{ENTRY}.max_act", ...), ["give raw and max_act"]),
        (edited("saes.sae.release", "x"), ["either release and sae_id"]),
        (edited("sampling", {"temperature": -1}), ["sampling.temperature is -1"]),
        (edited("prompts.1.0.role", "wizard"), ["role is 'wizard'"]),
        (json.dumps(plain()).replace("40.0", "1e999"), ["finite"]),
    ],
)
def test_a_broken_file_is_refused_by_name_and_field_and_left_alone(own, content, words):
    from steering.errors import PresetError
    from steering.presets import load_preset, save_preset

    path = written(own, content)
    before = path.read_bytes()
    with pytest.raises(PresetError) as error:
        load_preset("bridge", own)
    message = str(error.value).replace("[0]", ".0").replace("[1]", ".1")
    assert "bridge.json" in message
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    from steering.presets import Preset

    fine = Preset.model_validate_json(json.dumps(plain()), strict=True)
    with pytest.raises(PresetError, match=r"bridge\.json"):
        save_preset(fine, own, overwrite=True)
    assert path.read_bytes() == before
    assert [each.name for each in own.iterdir()] == ["bridge.json"]


@pytest.mark.parametrize(
    "name", ["../bridge", "/etc/passwd", "a/b", "Bridge", "", "a" * 65, "-a", "..", "a\n", "schema"]
)
def test_no_name_reaches_outside_the_presets_folder(own, session, name):
    from steering.errors import PresetError
    from steering.presets import load_preset, save_preset

    with pytest.raises(PresetError):
        load_preset(name, own)
    with pytest.raises(PresetError):
        save_preset(made(session, name), own)
    assert not own.exists()


def test_an_unknown_preset_is_told_which_there_are(own):
    from steering.errors import PresetError
    from steering.presets import load_preset

    with pytest.raises(PresetError, match="None is installed"):
        load_preset("bridge", own)
    written(own, plain())
    with pytest.raises(PresetError, match="There are bridge"):
        load_preset("brigde", own)
    with pytest.raises(PresetError, match="no preset file"):
        load_preset(own / "none.json")


def test_a_file_whose_name_is_not_its_presets_is_refused_by_name_but_not_by_path(own):
    from steering.errors import PresetError
    from steering.presets import load_preset

    path = written(own, plain(), "other")
    with pytest.raises(PresetError, match="named 'bridge'"):
        load_preset("other", own)
    assert load_preset(path).name == "bridge"


def test_saving_replaces_only_when_asked(own, session):
    from steering.errors import PresetError
    from steering.presets import load_preset, save_preset

    save_preset(made(session, title="One"), own)
    with pytest.raises(PresetError, match="already"):
        save_preset(made(session, title="Two"), own)
    assert load_preset("bridge", own).title == "One"
    save_preset(made(session, title="Two"), own, overwrite=True)
    assert load_preset("bridge", own).title == "Two"


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(own, session, monkeypatch):
    from steering.errors import PresetError
    from steering.presets import load_preset, save_preset

    save_preset(made(session, title="One"), own)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PresetError, match="No space left on device"):
        save_preset(made(session, title="Two"), own, overwrite=True)
    assert load_preset("bridge", own).title == "One"
    assert [each.name for each in own.iterdir()] == ["bridge.json"]


def test_a_preset_that_no_reader_would_accept_is_not_written(own, session):
    from steering.errors import PresetError
    from steering.presets import save_preset

    with pytest.raises(PresetError, match="at most 1,000,000"):
        save_preset(made(session, prompts=["the " * 300_000]), own)
    assert not own.exists()


def test_a_presets_folder_that_is_a_file_is_an_error_in_words(tmp_path, packaged, session):
    from steering.errors import PresetError
    from steering.presets import save_preset

    (tmp_path / "own").write_text("")
    with pytest.raises(PresetError, match="Cannot write"):
        save_preset(made(session), tmp_path / "own")


def test_a_packaged_preset_is_neither_replaced_nor_hidden(own, packaged, session):
    from steering.errors import PresetError
    from steering.presets import load_preset, save_preset

    written(packaged, plain())
    assert load_preset("bridge", own).name == "bridge"
    with pytest.raises(PresetError, match="comes with the program"):
        save_preset(made(session), own, overwrite=True)
    mine = written(own, plain(title="Mine"))
    with pytest.raises(PresetError, match="Two presets are named 'bridge'"):
        load_preset("bridge", own)
    assert load_preset(mine).title == "Mine"


def test_the_packaged_folder_given_as_ones_own_is_one_folder(packaged, monkeypatch):
    from steering.presets import list_presets, load_preset

    written(packaged, plain())
    monkeypatch.chdir(packaged.parent)
    assert load_preset("bridge", Path("packaged")).name == "bridge"
    assert len(list_presets(Path("packaged"))) == 1


def test_a_listing_has_every_file_and_says_what_is_wrong_with_it(own, packaged):
    from steering.presets import list_presets

    assert list_presets(own) == []
    written(packaged, plain(name="first"), "first")
    written(packaged, "{}", "schema")
    written(own, plain())
    written(own, "{", "broken")
    found = {each.name: each for each in list_presets(own)}
    assert list(found) == ["first", "bridge", "broken"]
    assert [each.packaged for each in found.values()] == [True, False, False]
    assert found["bridge"].preset is not None
    assert "not valid JSON" in (found["broken"].problem or "")


def test_another_sae_is_refused_with_both_fingerprints_unless_forced(session):
    from steering.errors import PresetError
    from steering.presets.use import check_preset

    preset = made(session)
    assert check_preset(preset, session.saes) == ()
    other = {"sae": tiny.sae(seed=1)}
    with pytest.raises(PresetError) as error:
        check_preset(preset, other)
    prints = [session.saes["sae"].fingerprint, other["sae"].fingerprint]
    assert all(each in str(error.value) for each in prints)
    (warning,) = check_preset(preset, other, force=True)
    assert all(each in warning for each in prints)
    with pytest.raises(PresetError, match="needs an SAE as 'sae'; loaded are b"):
        check_preset(preset, {"b": tiny.sae()}, force=True)


@pytest.mark.parametrize("unit", ["max_act", "norm", "raw"])
def test_a_preset_comes_to_its_raw_coefficient_again(session, unit):
    """Also where this session would estimate another maximum, or measure another norm."""
    from steering.presets.use import pinned

    preset = made(session, interventions=[tiny.intervention(strength=2.0, unit=unit)])
    (item,) = preset.interventions
    assert item.raw is not None
    moved = {
        name: None if value is None else 1.5 * value
        for name, value in (("max_act", item.max_act), ("median_norm", item.median_norm))
    }
    raw = item.raw if unit == "raw" else 1.5 * item.raw
    elsewhere = item.model_copy(update={**moved, "raw": raw})
    (again,) = pinned(preset.model_copy(update={"interventions": (elsewhere,)}), session)
    assert session.resolve(again).raw == pytest.approx(raw)
    (same,) = pinned(preset, session)
    assert session.resolve(same).raw == pytest.approx(item.raw)


def test_a_maximum_keeps_its_source_when_a_preset_is_saved_again(session):
    """Also where this session would estimate another one, so that the file's own is used."""
    from steering.presets.use import pinned

    preset = made(session, interventions=[tiny.intervention(strength=2.0, unit="max_act")])
    (item,) = preset.interventions
    assert item.max_act is not None
    assert item.raw is not None
    source = "estimate: fired on 7 of 99 calibration tokens"
    update = {"max_act": 3 * item.max_act, "raw": 3 * item.raw, "max_act_source": source}
    elsewhere = preset.model_copy(update={"interventions": (item.model_copy(update=update),)})
    again = made(session, interventions=pinned(elsewhere, session))
    (kept,) = again.interventions
    assert (kept.max_act, kept.max_act_source) == (3 * item.max_act, source)
    assert made(session, interventions=pinned(again, session)) == again


def test_on_a_forced_other_sae_strengths_are_resolved_afresh(session):
    from steering.presets.use import pinned
    from steering.session import Session

    preset = made(session, interventions=[tiny.intervention(strength=2.0, unit="max_act")])
    other = Session(session.model, {"sae": tiny.sae(seed=1)})
    assert pinned(preset, other) == (preset.interventions[0].intervention,)


def test_an_sae_that_no_file_can_name_is_refused(session):
    from steering.errors import PresetError
    from steering.session import Session

    with pytest.raises(PresetError, match="no release and no folder"):
        made(Session(session.model, {"sae": tiny.sae()}))


@pytest.mark.parametrize(
    "address",
    [
        ("gpt2-small-res-jb", "blocks.8.hook_resid_pre"),
        ("someone/some-saes", "layer_3/width_1k"),
    ],
)
def test_a_release_is_kept_as_release_and_id(session, address):
    from steering.session import Session

    sae = tiny.sae()
    sae.source = address
    preset = made(Session(session.model, {"sae": sae}))
    assert preset.saes["sae"].address == address


def test_the_bundled_sae_is_kept_as_bundled(session, tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    monkeypatch.setattr("steering.presets.use.BUNDLE", bundle)
    sae = tiny.sae()
    sae.source = bundle / "sae"
    from steering.session import Session

    preset = made(Session(session.model, {"sae": sae}))
    assert preset.is_bundled
    assert preset.saes["sae"].address is None
    # The bundle's second SAE is not what `Session.demo()` loads, and is named by its folder.
    sae.source = bundle / "sae-layer-1"
    assert not made(Session(session.model, {"sae": sae})).is_bundled


def test_the_published_schema_is_that_of_the_program():
    """Renew it with `steer preset schema > presets/schema.json`."""
    from steering.presets import preset_json_schema

    assert json.loads((ROOT / "presets" / "schema.json").read_text()) == preset_json_schema()


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOT.glob("presets/*.json")) if path.stem != "schema"],
    ids=lambda path: path.stem,
)
def test_every_packaged_preset_is_fine_and_of_the_bundled_sae(path):
    from steering.presets import load_preset
    from steering.presets.use import BUNDLE, check_preset
    from steering.sae import Sae

    preset = load_preset(path)
    assert preset.name == path.stem
    assert preset.is_bundled
    assert preset.prompts
    assert check_preset(preset, {"sae": Sae.load(BUNDLE / "sae")}) == ()


def test_reading_presets_loads_no_torch():
    code = "import sys, steering.presets, steering.presets.use; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_every_kind_of_intervention_comes_back_from_its_file(session, tmp_path):
    import torch
    from safetensors.torch import save_file

    from steering.interventions import (
        Condition,
        Direction,
        FeatureControl,
        Intervention,
        Positions,
        RandomControl,
        Schedule,
    )
    from steering.presets import load_preset, save_preset
    from steering.presets.use import About, make_preset

    path = tmp_path / "d.safetensors"
    save_file({"d": torch.randn(tiny.D_MODEL)}, path)
    direction = Direction(path=str(path), hook_name="blocks.1.hook_resid_post")
    raw = {"strength": 2.0, "unit": "raw"}
    kinds = [
        Intervention(direction=direction, edit="add", **raw),
        Intervention(feature=1, edit="ablate", positions=Positions(where="prompt")),
        Intervention(feature=2, edit="scale", strength=2.0, control=RandomControl(seed=3)),
        Intervention(feature=3, **raw, control=FeatureControl(feature=4)),
        Intervention(feature=5, **raw, condition=Condition(feature=6, above=1.0)),
        Intervention(feature=7, **raw, schedule=Schedule(kind="decay", tokens=4)),
    ]
    made = make_preset(session, kinds, About("all-kinds", "All kinds"))
    save_preset(made, tmp_path / "presets")
    assert load_preset("all-kinds", tmp_path / "presets") == made


def test_a_deleted_preset_is_gone_and_its_name_is_free_again(own, session):
    from steering.presets import delete_preset, list_presets, save_preset

    kept = save_preset(made(session, "fog"), own)
    path = save_preset(made(session), own)
    assert delete_preset("bridge", own) == path
    assert [each.path for each in list_presets(own)] == [kept]
    assert save_preset(made(session), own) == path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("golden", "comes with the program"),
        ("schema", "comes with the program"),
        ("nothing", "no preset 'nothing' of your own"),
        ("../own/bridge", "no preset name"),
        ("bridge.json", "no preset name"),
        ("", "no preset name"),
    ],
)
def test_only_a_persons_own_preset_is_deleted(own, packaged, session, name, words):
    from steering.errors import PresetError
    from steering.presets import delete_preset, save_preset

    shipped = written(packaged, plain(name="golden"), "golden")
    mine = save_preset(made(session), own)
    for folder in (own, packaged):
        with pytest.raises(PresetError, match=words):
            delete_preset(name, folder)
    assert shipped.exists()
    assert mine.exists()


@pytest.mark.parametrize("content", ["{", "[]", {"schema_version": 2}, plain(name="other")])
def test_a_file_that_cannot_be_read_as_the_preset_is_not_deleted(own, content):
    from steering.errors import PresetError
    from steering.presets import delete_preset

    path = written(own, content)
    with pytest.raises(PresetError):
        delete_preset("bridge", own)
    assert path.exists()
