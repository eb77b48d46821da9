"""The commands `steer atlas` and `steer features`, from a text to what is found."""

import gzip
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from tests import tiny
from tests.atlas import made


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model folder and an SAE folder, as Hugging Face and SAELens write them."""
    model = tiny.tiny_model_folder(tmp_path_factory.mktemp("model"), chat=True)
    about = {"model_name": model.name, "neuronpedia_id": "tiny/1-res"}
    sae = tiny.tiny_sae_folder(tmp_path_factory.mktemp("sae"), metadata=about)
    facts = {"3": {"max_act": 2.5, "label": "true bridges"}, "4": {"max_act": 1.0}}
    content = {"schema_version": 1, "features": facts}
    (sae / "features.json").write_text(json.dumps(content))
    return model, sae


@pytest.fixture
def steer(tmp_path, monkeypatch):
    """Runs a command; atlases lie in a folder of the test's own."""
    from steering.cli import app

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path / "own")

    def run(*arguments, given=None):
        done = CliRunner().invoke(app, [str(each) for each in arguments], input=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture(scope="module")
def built(folders, tmp_path_factory):
    """An atlas that is built, scored and labelled by commands alone."""
    from steering.cli import app

    model, sae = folders
    folder = tmp_path_factory.mktemp("built")
    atlas, text = folder / "a.sqlite", made.text_file(folder)
    place = ("--model", str(model), "--sae", str(sae))
    for command in (
        ("build", "--text", str(text), "--tokens", "1k", "--atlas", str(atlas), *place),
        ("score", "--atlas", str(atlas), *place),
        ("label", "--atlas", str(atlas), "--evidence"),
    ):
        done = CliRunner().invoke(app, ["atlas", *command])
        assert done.exit_code == 0, done.output
    return atlas


@pytest.fixture
def bundle(folders, built, tmp_path, monkeypatch):
    """The tiny model in the place of the bundled one, its atlas beside its SAE."""
    model, sae = folders
    place = tmp_path / "bundle"
    shutil.copytree(model, place / "model")
    shutil.copytree(sae, place / "sae")
    shutil.copy(built, place / "sae" / "atlas.sqlite")
    for module in ("bundle", "session", "atlas.places"):
        monkeypatch.setattr(f"steering.{module}.BUNDLE", place)
    return place


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failed(done, *words):
    assert done.exit_code == 2, done.output
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr


def test_a_local_model_with_its_sae_gets_an_atlas_end_to_end(folders, steer, tmp_path):
    from steering.atlas.store import Atlas
    from steering.sae import Sae

    model, sae = folders
    text = made.text_file(tmp_path)
    done = steer("atlas", "build", "--text", text, "--model", model, "--sae", sae)
    assert done.exit_code == 0, done.output
    path = tmp_path / "own" / f"{Sae.load(sae).fingerprint}.sqlite"
    assert done.stdout.strip() == str(path)
    assert "tokens" in done.stderr
    atlas = Atlas.open(path, Sae.load(sae))
    assert atlas.about.tokens > 1000
    assert atlas.about.text == str(text)
    scored = steer("atlas", "score", "--model", model, "--sae", sae)
    assert "features, about" in scored.stderr
    again = steer("atlas", "score", "--model", model, "--sae", sae)
    assert again.stdout == "0 features scored.\n"
    told = steer("atlas", "label", "--sae", sae, "--truth", "--evidence")
    assert "features file: 1 labels kept" in told.stdout
    assert "token evidence: " in told.stdout
    shown = steer("features", "show", "3", "--sae", sae)
    assert "feature 3: true bridges (features file)" in shown.stdout
    assert steer("features", "search", "bridg", "--sae", sae).stdout.startswith("3\ttrue bridges")


def test_several_saes_are_built_in_one_pass(folders, steer, tmp_path):
    model, one = folders
    two = tiny.tiny_sae_folder(tmp_path / "two", "topk", hook_name="blocks.0.hook_resid_post")
    saes = ("--sae", f"a={one}", "--sae", f"b={two}")
    text = made.text_file(tmp_path)
    done = steer("atlas", "build", "--text", text, "--model", model, *saes, "--tokens", "500")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 2
    both = steer("atlas", "build", "--text", text, "--model", model, *saes, "--atlas", "x")
    failed(both, "several SAEs")
    failed(steer("features", "near", "3", *saes), "2 SAEs", "Give one")


def test_an_atlas_and_an_sae_that_do_not_belong_together_are_refused(built, steer, tmp_path):
    other = tiny.tiny_sae_folder(tmp_path / "other", seed=1)
    both = ("--atlas", built, "--sae", other)
    for asked in (
        ("features", "search", "fog"),
        ("features", "show", "3"),
        ("features", "suggest", "fog"),
        ("atlas", "label", "3", "mine"),
    ):
        failed(steer(*asked, *both), "is the atlas of SAE", "fingerprint")


def test_standard_input_is_a_text(folders, steer, tmp_path):
    model, sae = folders
    place = ("--model", model, "--sae", sae, "--atlas", tmp_path / "a.sqlite")
    done = steer("atlas", "build", "--text", "-", *place, given="the sea\n---\nover the bay")
    assert done.exit_code == 0, done.output
    failed(steer("atlas", "build", "--text", "-", *place, given=""), "no token to count")
    bad = steer("atlas", "build", "--text", "-", *place, given=b"the \xff sea")
    failed(bad, "Standard input is not UTF-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--text", "none.txt"), ["no file or folder 'none.txt'"]),
        (("--text", "none.txt", "--tokens", "many"), ["'many'", "5M"]),
        (("--text", "none.txt", "--tokens", "0"), ["'0'"]),
    ],
)
def test_what_cannot_be_built_is_one_message_and_exit_code_2(steer, arguments, words):
    failed(steer("atlas", "build", *arguments), *words)


@pytest.mark.parametrize(("text", "count"), [("5M", 5_000_000), ("300k", 300_000), ("7", 7)])
def test_counts_are_read(text, count):
    from steering.cli.atlas import count_of

    assert count_of(text) == count


def test_labels_are_taken_in_and_counted(built, steer, tmp_path):
    lines = [
        {"modelId": "tiny", "layer": "1-res", "index": "5", "description": "fog horns"},
        {"modelId": "tiny", "layer": "1-res", "index": "99", "description": "nothing"},
    ]
    batch = gzip.compress("\n".join(json.dumps(line) for line in lines).encode())
    (tmp_path / "batch-0.jsonl.gz").write_bytes(batch)
    done = steer("atlas", "label", "--atlas", built, "--from", tmp_path)
    assert "1 labels kept; left out: 1 of features that the SAE does not have" in done.stdout
    assert steer("atlas", "label", "5", "horns in the fog", "--atlas", built).exit_code == 0
    (hit,) = json.loads(steer("features", "search", "horns", "--atlas", built, "--json").stdout)
    assert (hit["feature"], hit["label"], hit["source"]) == (5, "horns in the fog", "person")
    failed(steer("atlas", "label", "--atlas", built), "nothing to label")
    failed(steer("atlas", "label", "5", "--atlas", built), "nothing to label")
    failed(steer("atlas", "label", "64", "x", "--atlas", built), "features 0 to 63")
    failed(steer("atlas", "label", "5", "x", "--atlas", tmp_path), "is a folder")
    mistyped = tmp_path / "mistyped.sqlite"
    failed(steer("atlas", "label", "5", "x", "--atlas", mistyped), "There is no atlas")
    assert not mistyped.exists()


@pytest.mark.parametrize(
    "command",
    [
        ("build", "--tokens", "100", "--text"),
        ("score", "--restart"),
        ("label", "3", "my own words"),
        ("label", "--evidence"),
        ("map",),
        ("embed", "--embedding", "stand-in"),
    ],
    ids=" ".join,
)
def test_what_is_written_about_the_bundled_sae_goes_into_a_persons_own_copy(
    bundle, steer, tmp_path, monkeypatch, command
):
    from steering.atlas.store import Atlas

    monkeypatch.setattr(
        "steering.atlas.meaning.sentence_encoder", lambda _: lambda texts: np.eye(len(texts), 3)
    )
    steer("features", "show", "3")
    shipped, published = contents(bundle), Atlas.open(bundle / "sae" / "atlas.sqlite")
    text = [made.text_file(tmp_path)] if command[-1] == "--text" else []
    done = steer("atlas", *command, *text)
    assert done.exit_code == 0, done.output
    assert contents(bundle) == shipped
    (own,) = (tmp_path / "own").glob("*.sqlite")
    with Atlas.open(own) as written:
        kept, theirs = (
            set(each.rows("SELECT feature, text FROM labels")) for each in (written, published)
        )
    assert kept >= theirs > set()
    # Readers find what was written.
    assert "yet another" not in steer("features", "show", "3").stdout
    assert steer("atlas", "label", "3", "yet another", "--atlas", own).exit_code == 0
    assert "yet another" in steer("features", "show", "3").stdout


def test_the_atlas_in_the_repository_is_not_written(steer, tmp_path):
    from steering.atlas.places import ATLAS_FILE
    from steering.bundle import BUNDLE

    before = (BUNDLE / "sae" / ATLAS_FILE).read_bytes()
    assert steer("atlas", "label", "3", "my own words").exit_code == 0
    assert "my own words" in steer("features", "show", "3").stdout
    assert (BUNDLE / "sae" / ATLAS_FILE).read_bytes() == before
    assert len(list((tmp_path / "own").glob("*.sqlite"))) == 1


def test_labels_that_are_taken_in_name_the_clusters_anew(built, folders, steer, tmp_path):
    from steering.atlas.map import map_points
    from steering.atlas.store import Atlas

    _, sae = folders
    atlas = tmp_path / "mapped.sqlite"
    shutil.copy(built, atlas)
    assert steer("atlas", "map", "--sae", sae, "--atlas", atlas).exit_code == 0
    feature = map_points(Atlas.open(atlas)).features.tolist()[0]
    for number, words in enumerate(("lighthouses", "windmills")):
        source = tmp_path / f"labels-{number}.jsonl"
        line = {"feature": feature, "label": words, "source": words, "score": number}
        source.write_text(json.dumps(line))
        assert steer("atlas", "label", "--from", source, "--atlas", atlas).exit_code == 0
        assert words in " ".join(map_points(Atlas.open(atlas)).names.values())


def test_search_by_tokens_and_nothing_found(built, steer):
    done = steer("features", "search", "bridge", "--by", "tokens", "--atlas", built, "--json")
    assert json.loads(done.stdout)[0]["why"] == "promotes 'bridge'"
    none = steer("features", "search", "zzzzzz", "--atlas", built)
    assert (none.exit_code, none.stdout) == (0, "")
    assert "No feature is found" in none.stderr
    failed(steer("features", "search", "a", "--atlas", "none.sqlite"), "steer atlas build")


def test_a_card_is_shown(built, steer):
    plain = steer("features", "show", "3", "--atlas", built, "--examples", "2").stdout
    for word in ("feature 3:", "fires on", "promotes:", "output score", "tiny/1-res/3", "«"):
        assert word in plain
    card = json.loads(steer("features", "show", "3", "--atlas", built, "--json").stdout)
    assert len(card["examples"]) == 5
    assert card["promoted"][0]["gain"] > 0
    assert card["neuronpedia"] == "https://www.neuronpedia.org/tiny/1-res/3"
    failed(
        steer("features", "suggest", "zzzzzz", "--atlas", built, "--json"), "No feature is found"
    )
    failed(steer("features", "show", "64", "--atlas", built), "features 0 to 63")


def test_the_neighbourhood_is_walked_in_rings(built, folders, steer):
    _, sae = folders
    near = ("features", "near", "3", "--sae", sae, "--atlas", built)
    rings = json.loads(steer(*near, "--json", "-n", "10").stdout)
    assert sum(len(ring["neighbours"]) for ring in rings) == 10
    (first, *_) = (n for ring in rings for n in ring["neighbours"])
    assert set(first) == {"feature", "cosine", "fires_together", "label"}
    radii = steer(*near, "--radius", "0.7", "--radius", "0.9", "--json").stdout
    assert [ring["outer"] for ring in json.loads(radii)] == [0.7, 0.9]
    assert "within" in steer(*near).stdout
    failed(steer(*near, "--radius", "-1"), "no rings")
    failed(steer("features", "near", "64", "--sae", sae), "features 0 to 63")


def test_texts_are_read_against_each_other_and_for_what_they_do(built, folders, steer):
    model, sae = folders
    place = ("--model", model, "--sae", sae, "--atlas", built)
    by = {
        rank: json.loads(
            steer("features", "active", "the bridge is", "--by", rank, "--json", *place).stdout
        )
        for rank in ("activation", "attribution")
    }
    acts = [each["activation"] for each in by["activation"]["features"]]
    assert acts == sorted(acts, reverse=True)
    effects = [each["attribution"] for each in by["attribution"]["features"]]
    assert effects == sorted(effects, reverse=True)
    plain = steer("features", "active", "the bridge is", "--target", " red", *place).stdout
    assert "logits for" in plain
    texts = ("the bridge is red", "we walk over the sea")
    found = json.loads(steer("features", "contrast", *texts, "--json", *place).stdout)
    assert found["a"][0]["difference"] > 0
    assert "more in B:" in steer("features", "contrast", *texts, *place).stdout


def test_suggestions_can_be_pasted_behind_compare(built, steer):
    from steering.atlas.suggest import SHARE
    from steering.cli.parse import parse_feature

    done = steer("features", "suggest", "bridge", "--atlas", built)
    flags = [line.split("\t")[0].removeprefix("-f ") for line in done.stdout.splitlines()]
    assert flags and {(f.strength, f.unit) for f in map(parse_feature, flags)} == {(SHARE, "norm")}
    edits = json.loads(steer("features", "suggest", "bridge", "--atlas", built, "--json").stdout)
    assert {each["intervention"]["unit"] for each in edits} == {"norm"}
    failed(steer("features", "suggest", "zzzzzz", "--atlas", built), "No feature is found")


def test_what_a_text_holds_cannot_command_the_terminal(built, steer):
    steer("atlas", "label", "7", "red \x1b[31m lights", "--atlas", built)
    assert "\x1b" not in steer("features", "show", "7", "--atlas", built).stdout
