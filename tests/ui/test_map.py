"""The map as the browser gets it: points packed tightly, and what a text lights up."""

import base64

import numpy as np
import pytest

from tests import tiny
from tests.atlas import made
from tests.ui.pages import PROMPT, host


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page over a tiny SAE with an atlas, labels and a map."""
    from steering.atlas.labels import Label, add_labels
    from steering.atlas.map import make_map
    from steering.atlas.places import own_path
    from steering.session import Session

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path / "own")
    session = Session(made.model(), {"sae": tiny.sae()})
    sae = session.saes["sae"]
    with made.build(own_path(sae), made.text_file(tmp_path), sae) as atlas:
        add_labels(atlas, [Label(3, "<img src=x onerror=1>", "bench", 0.5)])
        make_map(atlas, sae)
    return host(session)


def unpacked(told):
    n, raw = told["count"], base64.b64decode(told["points"])
    assert len(raw) == 11 * n
    return {
        "features": np.frombuffer(raw, "<u4", n),
        "places": np.frombuffer(raw, "<u2", 2 * n, 4 * n).reshape(n, 2),
        "clusters": np.frombuffer(raw, "<u2", n, 8 * n),
        "densities": np.frombuffer(raw, "u1", n, 10 * n),
    }


def test_a_packed_map_is_the_stored_map(page):
    from steering.atlas.map import map_points
    from ui.map import packed_map

    stored = map_points(page.session.atlas())
    told = packed_map(page.session, "sae")
    packed = unpacked(told)
    assert packed["features"].tolist() == stored.features.tolist()
    assert packed["clusters"].tolist() == stored.clusters.tolist()
    assert told["names"] == {str(cluster): name for cluster, name in stored.names.items()}
    places = np.stack([stored.x, stored.y], 1)
    span = (places.max(0) - places.min(0)).max()
    # One scale for both directions, so that distances look as they are.
    gaps = (packed["places"].astype(float) - packed["places"][0]) / 65535 * span
    assert gaps == pytest.approx(places - places[0], abs=span / 30_000)
    assert (packed["densities"].argmin(), packed["densities"].argmax()) == (
        stored.densities.argmin(),
        stored.densities.argmax(),
    )
    assert {packed["densities"].min(), packed["densities"].max()} == {0, 255}
    assert told["densities"] == [stored.densities.min(), stored.densities.max()]


def test_a_text_lights_up_the_features_that_fire_on_it(page):
    from steering.atlas.firing import peaks
    from ui.map import MOST_LISTED, lit_by

    session = page.session
    sae = session.saes["sae"]
    text = session.model.encode(PROMPT, prepend_bos=session.prepend_bos, room=0)
    wanted = peaks(session.model, sae, text)
    lit = lit_by(session, "sae", PROMPT)
    features = np.frombuffer(base64.b64decode(lit["features"]), "<u4")
    acts = np.frombuffer(base64.b64decode(lit["acts"]), "<f4")
    assert lit["count"] == len(features) == int((wanted > 0).sum())
    assert acts == pytest.approx(wanted[features.tolist()].numpy(), rel=1e-5)
    assert (np.diff(acts) <= 0).all()
    assert lit["highest"] == acts[0]
    assert [each["feature"] for each in lit["list"]] == features[:MOST_LISTED].tolist()


def test_the_map_of_the_sae_that_is_explored_is_lit(page):
    from steering.errors import AliasError, PromptError
    from steering.session import Session
    from ui.map import lit_by, lit_map, which_map

    session = page.session
    assert lit_map(session, "sae", PROMPT) == {
        **which_map(session),
        "lit": lit_by(session, "sae", PROMPT),
    }
    assert lit_map(session, None, PROMPT) == lit_map(session, "sae", PROMPT)
    with pytest.raises(PromptError):
        lit_map(session, "sae", " ")
    with pytest.raises(AliasError, match="--sae"):
        lit_map(Session(session.model, {}), None, PROMPT)


def test_a_map_that_is_missing_is_named_and_can_be_made_where_visitors_may_write(page):
    from steering.errors import AtlasError
    from ui.map import make_it, may_make, packed_map, which_map

    before = which_map(page.session)
    with page.session.atlas().writing() as db:
        db.run("DELETE FROM places")
    assert which_map(page.session)["of"] != before["of"]
    with pytest.raises(AtlasError, match="steer atlas map"):
        packed_map(page.session, "sae")
    page.trusted = False
    assert not may_make(page, "sae")
    with pytest.raises(AtlasError, match="open to others"):
        make_it(page, "sae")
    page.trusted = True
    assert may_make(page, "sae")
    make_it(page, "sae")
    assert which_map(page.session)["of"] == before["of"]
    assert packed_map(page.session, "sae")["count"] > 0


def test_an_sae_without_an_atlas_is_told_how_to_get_one(tmp_path, monkeypatch):
    from steering.errors import AtlasError
    from ui.map import may_make, packed_map

    monkeypatch.setattr("steering.atlas.places.user_folder", lambda: tmp_path)
    bare = host()
    assert not may_make(bare, "sae")
    with pytest.raises(AtlasError, match="steer atlas build"):
        packed_map(bare.session, "sae")


def test_a_line_says_what_the_atlas_knows(page):
    from ui.feature_lines import feature_lines

    atlas = page.session.atlas()
    (density, max_act) = atlas.one("SELECT density, max_act FROM stats WHERE feature = 3")
    (line,) = feature_lines(page.session, "sae", [3])
    assert line["label"] == "<img src=x onerror=1>"
    assert line["source"] == "bench"
    assert line["density"] == f"fires on {100 * density:.2g} % of tokens"
    assert line["max"] == f"max act {max_act:.4g}"
    with atlas.writing() as db:
        db.run("INSERT INTO scores VALUES (3, 0.5)")
    assert feature_lines(page.session, "sae", [3])[0]["badge"]["tone"] == "strong"


@pytest.mark.parametrize(
    ("share", "shown"), [(0.000123, "0.012 %"), (0.0456, "4.6 %"), (0.51, "51 %"), (1.0, "100 %")]
)
def test_a_share_is_written_in_plain_digits(share, shown):
    from ui.feature_lines import percent

    assert percent(share) == shown


def test_a_damaged_atlas_is_in_no_list_s_way(page, monkeypatch):
    from steering.errors import AtlasError
    from ui.feature_lines import feature_lines

    def damaged(_alias):
        raise AtlasError("damaged")

    monkeypatch.setattr(page.session, "atlas", damaged)
    (line,) = feature_lines(page.session, "sae", [3])
    assert (line["label"], line["density"]) == ("feature 3", None)
