"""Where atlases are looked for."""

from tests import tiny


def test_the_atlas_beside_an_sae_is_found_and_a_persons_own_goes_first(tmp_path, monkeypatch):
    from steering.atlas import places
    from steering.atlas.store import Atlas
    from steering.sae import Sae

    monkeypatch.setattr(places, "user_folder", lambda: tmp_path / "own")
    sae = Sae.load(tiny.tiny_sae_folder(tmp_path / "sae"))
    assert places.find_atlas(sae) is None
    beside = tmp_path / "sae" / places.ATLAS_FILE
    own = tmp_path / "own" / f"{sae.fingerprint}.sqlite"
    assert places.atlas_path(sae) == own
    for path in (beside, own):
        Atlas.create(path, sae).close()
        found = places.find_atlas(sae)
        assert found is not None
        assert found.path == path


def test_the_bundled_atlas_is_found_without_its_sae(tmp_path, monkeypatch):
    from steering.atlas import places
    from steering.atlas.store import Atlas

    monkeypatch.setattr(places, "BUNDLE", tmp_path)
    monkeypatch.setattr(places, "user_folder", lambda: tmp_path / "own")
    assert places.bundled_atlas() is None
    beside = tmp_path / "sae" / places.ATLAS_FILE
    sae = tiny.sae()
    Atlas.create(beside, sae).close()
    assert places.bundled_atlas() == beside
    own = tmp_path / "own" / f"{sae.fingerprint}.sqlite"
    Atlas.create(own, sae).close()
    assert places.bundled_atlas() == own


def test_a_persons_own_atlas_begins_as_a_copy_and_leaves_the_published_one_alone(
    tmp_path, monkeypatch
):
    from steering.atlas import places
    from steering.atlas.labels import Label, add_labels, labels, set_label
    from steering.atlas.store import Atlas
    from steering.sae import Sae

    monkeypatch.setattr(places, "user_folder", lambda: tmp_path / "own")
    sae = Sae.load(tiny.tiny_sae_folder(tmp_path / "sae"))
    beside = tmp_path / "sae" / places.ATLAS_FILE
    with Atlas.create(beside, sae) as published:
        add_labels(published, [Label(3, "theirs", "elsewhere", 0.5)])
    before = beside.read_bytes()
    for text in ("mine", "mine again"):
        with places.own_atlas(sae) as own:
            set_label(own, 3, text)
            assert own.path == places.own_path(sae)
            assert [each.text for each in labels(own, 3)] == [text, "theirs"]
    assert beside.read_bytes() == before
    assert [each.name for each in (tmp_path / "own").iterdir()] == [own.path.name]
