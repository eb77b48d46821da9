"""Search by meaning with a stand-in for the embedding model."""

import numpy as np
import pytest

from tests import tiny

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


def test_without_vectors_or_without_the_extra_it_says_what_to_do(atlas, monkeypatch):
    import sys

    from steering.atlas.meaning import search_meaning, sentence_encoder
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match="steer atlas embed"):
        search_meaning(atlas, "fog", encode)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(AtlasError, match=r"steering-playground\[embed\]"):
        sentence_encoder()
