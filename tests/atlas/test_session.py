"""What a session takes from the atlas of its SAE."""

import json

import pytest

from tests import tiny
from tests.atlas import made


@pytest.fixture
def session(tmp_path, monkeypatch):
    from steering.session import Session

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path / "own")
    return Session(made.model(), {"sae": tiny.sae()})


def test_a_maximum_comes_from_the_atlas_before_it_is_estimated(session, tmp_path):
    from steering.atlas.places import atlas_path

    assert session.atlas() is None
    sae = session.saes["sae"]
    made.build(atlas_path(sae), made.text_file(tmp_path), sae)
    atlas = session.atlas()
    assert atlas is not None
    assert session.atlas("sae") is atlas
    feature, max_act = atlas.one("SELECT feature, max_act FROM stats ORDER BY fired DESC")
    used = session.resolve(tiny.intervention(feature, strength=2.0))
    assert (used.max_act, used.max_act_source) == (max_act, "atlas")
    assert used.raw == pytest.approx(2 * max_act)
    # A unit that needs no maximum asks for none: a damaged atlas would be in its way.
    assert session.resolve(tiny.intervention(feature, strength=2.0, unit="raw")).max_act is None


def test_search_finds_what_the_atlas_names(session):
    from steering.atlas.labels import set_label
    from steering.atlas.places import atlas_path
    from steering.atlas.store import Atlas

    assert session.search("bridge") == []
    with Atlas.create(atlas_path(session.saes["sae"]), session.saes["sae"]) as atlas:
        set_label(atlas, 7, "bridges")
    assert session.search("bridge") == [("sae", 7)]
    assert session.search("bridge", limit=0) == []
    assert session.search("") == []


def test_a_label_that_another_program_gave_is_found_first(session, tmp_path):
    from steering.atlas.labels import set_label
    from steering.atlas.places import own_atlas
    from steering.atlas.store import Atlas
    from steering.sae import Sae

    folder = tiny.tiny_sae_folder(tmp_path / "published")
    facts = {"3": {"max_act": 1.0, "label": "a bridge"}}
    (folder / "features.json").write_text(json.dumps({"schema_version": 1, "features": facts}))
    sae = session.saes["sae"] = Sae.load(folder)
    Atlas.create(folder / "atlas.sqlite", sae).close()
    assert session.search("bridge") == [("sae", 3)]
    with own_atlas(sae) as other:
        set_label(other, 7, "my bridge")
    assert session.search("bridge", limit=1) == [("sae", 7)]


def test_a_persons_label_is_kept_in_an_atlas_of_their_own(session):
    from steering.atlas.labels import labels
    from steering.atlas.places import own_path
    from steering.errors import FeatureError

    session.label(7, "bridges")
    atlas = session.atlas()
    assert atlas.path == own_path(session.saes["sae"])
    assert [(each.text, each.source) for each in labels(atlas, 7)] == [("bridges", "person")]
    session.label(7, "")
    assert labels(session.atlas(), 7) == []
    with pytest.raises(FeatureError):
        session.label(tiny.D_SAE, "nothing")


def test_neighbours_are_the_nearest_directions(session):
    from steering.atlas.geometry import nearest, unit_rows
    from steering.errors import FeatureError

    assert session.neighbours(3, count=5) == nearest(unit_rows(session.saes["sae"]), 3, 5)
    with pytest.raises(FeatureError):
        session.neighbours(tiny.D_SAE)
