"""All three stages at toy size: they run end to end, and a broken run ends like an unbroken one."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing.spawn import spawn
from typer.testing import CliRunner

from steering.atlas.labels import shown_labels
from steering.atlas.store import Atlas
from steering.bundle import BUNDLE
from steering.demo import dictionary, language_model, work_folder
from steering.demo.claims.asked import sampled_claims
from steering.demo.claims.report import claim_presets, measure_claims, open_bundle
from steering.demo.concepts import by_name
from steering.demo.corpus import attention_mask, load_or_build_corpus, pack
from steering.demo.dictionary import train_dictionary
from steering.demo.language_model import train_language_model
from steering.demo.prototypes import start
from steering.demo.publish import name_steering, write_bundle
from steering.demo.recipe import TOY
from steering.demo.train import app, places
from steering.demo.work_folder import WorkFolderError, enter, forget
from steering.presets import load_preset
from steering.presets.files import packaged_folder
from steering.presets.use import check_preset
from steering.sae import Sae
from tests.demo.teamwork import break_off_and_resume


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    places = {"work": "work", "out": "bundle", "presets": "presets"}
    arguments = ["all", "--toy"]
    for flag, name in places.items():
        arguments += [f"--{flag}", str(folder / name)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return folder


def test_one_command_writes_a_whole_bundle(built: Path) -> None:
    files = {str(f.relative_to(built / "bundle")) for f in (built / "bundle").rglob("*")}
    assert {
        "manifest.json",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "sae/cfg.json",
        "sae/sae_weights.safetensors",
        "sae/features.json",
        "sae-layer-1/sae_weights.safetensors",
        "sae-layer-1/features.json",
    } <= files
    manifest = json.loads((built / "bundle" / "manifest.json").read_text())
    assert manifest["recipe"]["seed"] == 0
    assert set(manifest["corpus"]["steered_answers"].values()) == {0}
    assert set(manifest["language_model"]["training_losses"]) == {"0"}
    assert manifest["presets_commit"] == manifest["commit"]


def test_a_work_folder_is_refused_by_another_recipe_and_another_world(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(built / "work" / "made-by.json", work)
    enter(TOY, work)
    with pytest.raises(WorkFolderError, match=r"another seed .*--fresh"):
        enter(replace(TOY, seed=1), work)
    monkeypatch.setattr(work_folder, "_WORLD", tmp_path)
    with pytest.raises(WorkFolderError, match="another world"):
        enter(TOY, work)


def test_no_folder_of_somebody_s_own_is_deleted(built: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("Years of work.")
    with pytest.raises(WorkFolderError, match=r"no work folder.*made-by\.json"):
        forget(tmp_path)
    with pytest.raises(WorkFolderError, match=r"no manifest\.json"):
        write_bundle(TOY, built / "work", tmp_path)
    refused = CliRunner().invoke(app, ["all", "--toy", "--fresh", "--work", str(tmp_path)])
    said = " ".join(refused.output.replace("│", " ").split())
    assert refused.exit_code == 2 and "is no work folder" in said
    assert (tmp_path / "thesis.txt").read_text() == "Years of work."


def test_a_small_training_writes_beside_its_checkpoints_and_not_over_the_shipped_files() -> None:
    work, out = Path("work"), Path("out")
    assert places(None, None, work, small=True) == (work / "bundle", work / "presets")
    assert places(out, None, work, small=True) == (out, work / "presets")
    assert places(None, None, work, small=False) == (BUNDLE, packaged_folder())


def test_every_claim_counted_in_texts_gets_a_preset_of_the_new_bundle(built: Path) -> None:
    session = open_bundle(built / "bundle")
    presets = claim_presets(built / "presets")
    assert set(presets) == {claim.name for claim in sampled_claims()}
    for preset in presets.values():
        assert check_preset(preset, session.saes) == ()


def test_the_other_claims_get_presets_that_show_them_where_a_feature_is_found(built: Path) -> None:
    session = open_bundle(built / "bundle")
    for name in ("dose-response", "causal"):
        preset = load_preset(built / "presets" / f"{name}.json")
        assert preset.prompts and preset.description
        assert check_preset(preset, session.saes) == ()
    bridge = load_preset(built / "presets" / "golden-gate.json").interventions[0].intervention
    dose = load_preset(built / "presets" / "dose-response.json").interventions[0].intervention
    assert dose.feature == bridge.feature
    assert dose.strength is not None and bridge.strength is not None
    assert dose.strength > 2 * bridge.strength


def test_every_live_feature_says_what_it_reads_and_what_it_writes(built: Path) -> None:
    (sae,) = open_bundle(built / "bundle").saes.values()
    assert sae.facts
    for facts in sae.facts.values():
        assert facts.reading is not None and facts.reading_f1 is not None
        assert 0 <= facts.reading_f1 <= 1
        assert facts.writing in by_name()


def test_what_a_preset_shows_is_written_on_its_feature_once_and_taken_back(
    built: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    shutil.copytree(built / "bundle", out)
    preset = claim_presets(built / "presets")["flattery"]
    feature = preset.interventions[0].intervention.feature
    assert feature is not None
    bare = Sae.load(out / "sae").facts[feature].label
    for _ in range(2):
        name_steering(out, [preset])
        sae = Sae.load(out / "sae")
        assert sae.facts[feature].label == f"pushes towards praise; {bare}"
        with Atlas.open(out / "sae" / "atlas.sqlite", sae) as atlas:
            assert "praise" in shown_labels(atlas, [feature])[feature].text
        hashes = json.loads((out / "manifest.json").read_text())["sha256"]
        for name, expected in hashes.items():
            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == expected
    name_steering(out, [])
    assert Sae.load(out / "sae").facts[feature].label == bare


def test_a_report_on_an_untrained_bundle_says_that_the_claims_are_missed(built: Path) -> None:
    session, presets = open_bundle(built / "bundle"), claim_presets(built / "presets")
    wanted = ("golden-gate", "scam", "dose-response", "neighbourhood", "inner-conflict")
    results = list(measure_claims(session, presets, only=wanted, samples=4))
    assert [result.name for result in results] == list(wanted)
    by_claim = {result.name: result for result in results}
    assert set(by_claim["golden-gate"].cells) == {"unsteered", "steered", "random", "feature"}
    assert not by_claim["golden-gate"].met
    assert len(by_claim["dose-response"].doses) == 41
    assert [outcome.says for outcome in by_claim["scam"].outcomes][-3:] == [
        "refused unsteered",
        "harmless letters turned into scams",
        "harmless letters still written",
    ]


def test_a_resumed_language_model_equals_an_unbroken_one(built: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop = _stop_after(patch, language_model, "train_step", calls=7)
        with pytest.raises(stop):
            train_language_model(TOY, tmp_path)
    assert (tmp_path / "model.checkpoint.pt").exists()
    train_language_model(TOY, tmp_path)
    _assert_same_weights(built / "work" / "model" / "model.safetensors", tmp_path / "model")


def test_two_processes_that_go_on_from_a_checkpoint_equal_two_unbroken_ones(
    built: Path, tmp_path: Path
) -> None:
    recipe = replace(TOY, processes=2)
    spawn(break_off_and_resume, (recipe, built / "work", tmp_path), nprocs=2)
    runs = [torch.load(file, weights_only=True) for file in tmp_path.glob("*.?.pt")]
    assert len(runs) == 4
    for name, weights in runs[0].items():
        assert all(torch.equal(weights, run[name]) for run in runs[1:]), name


def test_a_resumed_sae_equals_an_unbroken_one(built: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work).mkdir()
    for name in ("model", "tokenizer", "rows.npy", "corpus.json"):
        (work / name).symlink_to(built / "work" / name)
    with pytest.MonkeyPatch.context() as patch:
        stop = _stop_after(patch, dictionary.SAETrainer, "_train_step", calls=9)
        with pytest.raises(stop):
            train_dictionary(TOY, work, 0)
    assert list((work / "sae-0.checkpoints").iterdir())
    train_dictionary(TOY, work, 0)
    _assert_same_weights(built / "work" / "sae-0" / "sae_weights.safetensors", work / "sae-0")


def test_rows_of_talks_keep_their_directions_while_others_turn(built: Path) -> None:
    checkpoints = built / "work" / "sae-0.checkpoints"
    last = max((p for p in checkpoints.glob("*") if p.is_dir()), key=lambda p: int(p.name))
    rows = load_file(last / "sae_weights.safetensors")["W_dec"]
    read = dictionary.collect(TOY, built / "work", 0)
    begun = start(read, len(rows), torch.Generator().manual_seed(TOY.seed))
    turned = 1 - torch.nn.functional.cosine_similarity(rows, begun.w_dec, dim=-1)
    assert 0 < begun.talks < len(rows)
    assert turned[: begun.talks].max() < 1e-6
    assert turned[begun.talks :].max() > 5e-5


def test_another_seed_trains_another_model(built: Path, tmp_path: Path) -> None:
    train_language_model(replace(TOY, seed=1, cycles=(1,), last_steps=0), tmp_path)
    other = load_file(tmp_path / "model" / "model.safetensors")
    first = load_file(built / "work" / "model" / "model.safetensors")
    assert not torch.equal(other["model.norm.weight"], first["model.norm.weight"])


def test_rows_hold_whole_documents(built: Path) -> None:
    tokenizer, rows, _ = load_or_build_corpus(TOY, built / "work")
    for row in rows:
        words = row[row != tokenizer.pad_token_id]
        assert words[0] == tokenizer.bos_token_id
        assert words[-1] == tokenizer.eos_token_id or len(words) == TOY.row


def test_packing_loses_no_token() -> None:
    sequences = [[1] * n for n in (5, 3, 8, 2, 7, 1)]
    packed = pack(sequences, 8, 0)
    assert packed.shape[1] == 8
    assert int((packed == 1).sum()) == sum(map(len, sequences))


def test_attention_stays_in_its_document_and_its_window() -> None:
    ids = torch.tensor([[0, 5, 6, 7, 0, 8, 9]])
    seen = attention_mask(ids, bos=0, window=2)[0, 0]
    assert seen[3].tolist() == [True, False, True, True, False, False, False]
    assert seen[6].tolist() == [False, False, False, False, True, True, True]
    assert attention_mask(ids, bos=0, window=0)[0, 0][3].tolist() == [True] * 4 + [False] * 3


def _stop_after(
    patch: pytest.MonkeyPatch, owner: object, name: str, *, calls: int
) -> type[Exception]:
    """Let `owner.name` work a few times and then break the run, as a closed laptop would."""

    class StoppedError(Exception):
        pass

    real = getattr(owner, name)
    left = iter(range(calls))

    def step(*args: object, **kwargs: object) -> object:
        if next(left, None) is None:
            raise StoppedError
        return real(*args, **kwargs)

    patch.setattr(owner, name, step)
    return StoppedError


def _assert_same_weights(expected: Path, folder: Path) -> None:
    got = load_file(folder / expected.name)
    for name, tensor in load_file(expected).items():
        torch.testing.assert_close(got[name], tensor, rtol=0, atol=0, msg=name)


def test_an_atlas_is_built_labelled_and_walked_on_a_model_folder_and_a_trained_sae(
    built: Path, tmp_path: Path
) -> None:
    from steering.cli import app as steer

    text = tmp_path / "text.txt"
    shutil.copy(built / "bundle" / "sae" / "calibration.txt", text)
    model = ["--model", str(built / "work" / "model")]
    sae = ["--sae", str(built / "work" / "sae-0")]

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(steer, [*arguments, *sae])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("atlas", "build", *model, "--text", str(text), "--tokens", "2k")
    run("atlas", "label", "--evidence")
    asked = ("features", "active", "What is there to see in Paris?", "--json")
    (first, *_) = json.loads(run(*asked, *model))["features"]
    shown = json.loads(run("features", "show", str(first["feature"]), "--json"))
    assert shown["fired"] > 0 and shown["label"] == first["label"]
    near = json.loads(run("features", "near", str(first["feature"]), "--json"))
    assert any(ring["neighbours"] for ring in near)
