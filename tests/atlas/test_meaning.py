"""Search by meaning with a stand-in for the embedding model."""

import numpy as np
import pytest

from tests import tiny
from tests.atlas import made

AXES = {"bridge": 0, "viaduct": 0, "fog": 1, "mist": 1, "praise": 2, "flattery": 2}


def encode(texts):
    """Synonyms have one axis."""
    found = np.full((len(texts), 3), 1e-3, np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            if word in AXES:
                found[row, AXES[word]] += 1
    return found


@pytest.fixture
def atlas(tmp_path):
    from steering.atlas.labels import Label, add_labels
    from steering.atlas.store import Atlas

    atlas = Atlas.create(tmp_path / "a.sqlite", tiny.sae())
    texts = {1: "a bridge", 2: "fog", 3: "flattery", 4: "bridge fog"}
    add_labels(atlas, [Label(f, text, "file") for f, text in texts.items()])
    return atlas


def test_what_means_the_same_is_found_without_the_word(atlas):
    from steering.atlas.meaning import embed_labels, search_meaning

    assert embed_labels(atlas, encode, "fake") == 4
    found = search_meaning(atlas, "viaduct", encode)
    assert [each.feature for each in found][:2] == [1, 4]
    assert "cosine 1.00" in found[0].why
    assert [each.feature for each in search_meaning(atlas, "mist", encode, limit=1)] == [2]


def test_only_new_labels_are_embedded_and_a_changed_one_again(atlas):
    from steering.atlas.labels import set_label
    from steering.atlas.meaning import embed_labels, search_meaning

    embed_labels(atlas, encode, "fake")
    assert embed_labels(atlas, encode, "fake") == 0
    set_label(atlas, 9, "mist")
    assert embed_labels(atlas, encode, "fake") == 1
    set_label(atlas, 9, "praise")
    assert embed_labels(atlas, encode, "fake") == 1
    assert search_meaning(atlas, "flattery", encode, limit=2)[1].feature == 9
    set_label(atlas, 9, "")
    assert 9 not in [each.feature for each in search_meaning(atlas, "flattery", encode)]
    assert embed_labels(atlas, encode, "another model") == 4


def test_vectors_of_a_model_stay_until_there_are_others(atlas):
    from steering.atlas.meaning import embed_labels, embedded_by, model_of, search_meaning

    def broken(_texts):
        raise RuntimeError("no memory")

    assert model_of(atlas) is None
    embed_labels(atlas, encode, "fake")
    with pytest.raises(RuntimeError):
        embed_labels(atlas, broken, "another")
    assert model_of(atlas) == embedded_by(atlas) == "fake"
    assert len(search_meaning(atlas, "mist", encode)) == 4


def test_without_vectors_or_without_the_extra_it_says_what_to_do(atlas, monkeypatch):
    import sys

    from steering.atlas.meaning import search_meaning, sentence_encoder
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match="steer atlas embed"):
        search_meaning(atlas, "fog", encode)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(AtlasError, match=r"steering-playground\[embed\]"):
        sentence_encoder()


@pytest.fixture
def busy(tmp_path):
    """A built atlas, and its features that fire most."""
    atlas = made.build(tmp_path / "busy.sqlite", made.text_file(tmp_path))
    return atlas, [f for (f,) in atlas.rows("SELECT feature FROM stats ORDER BY fired DESC")]


def test_a_phrase_suggests_features_whose_labels_only_mean_it(busy):
    from steering.atlas.labels import set_label
    from steering.atlas.meaning import embed_labels
    from steering.atlas.suggest import suggest

    atlas, (named, meant, *_) = busy
    set_label(atlas, named, "writes viaduct")
    set_label(atlas, meant, "mist")
    embed_labels(atlas, encode, "fake")
    phrase = "viaduct in the haze fog"

    def found(encoder):
        return [each.found for each in suggest(atlas, phrase, limit=50, encode=encoder)]

    assert meant not in [each.feature for each in found(None)]
    by_meaning = {each.feature: each for each in found(encode)}
    assert "cosine" in by_meaning[meant].why
    assert found(encode)[0].feature == named


def test_the_encoder_is_the_one_that_made_the_vectors_and_none_without_them(busy, monkeypatch):
    from typer.testing import CliRunner

    from steering.atlas import meaning
    from steering.atlas.labels import set_label
    from steering.cli import app
    from steering.errors import AtlasError

    atlas, (feature, *_) = busy
    asked = []
    monkeypatch.setattr(meaning, "find_spec", lambda _: True)
    monkeypatch.setattr(meaning, "sentence_encoder", lambda name: asked.append(name) or encode)
    assert meaning.encoder_of(atlas) is None
    set_label(atlas, feature, "mist")
    meaning.embed_labels(atlas, encode, "fake")

    def suggested():
        command = ["features", "suggest", "praise or haze", "--atlas", str(atlas.path)]
        return CliRunner().invoke(app, command)

    assert f"-f {feature}=" in suggested().stdout
    assert asked == ["fake"]

    def unreachable(_):
        raise AtlasError("Cannot load the embedding model 'fake'.")

    monkeypatch.setattr(meaning, "sentence_encoder", unreachable)
    done = suggested()
    assert "What labels mean is left out. Cannot load" in done.stderr
    assert "No feature is found" in done.stderr
