"""Neighbours are exact, and rings hold each of them once."""

import pytest
import torch

from tests import tiny
from tests.atlas import made


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_the_nearest_are_those_of_the_whole_cosine_matrix(block, monkeypatch):
    from steering.atlas import geometry

    monkeypatch.setattr(geometry, "BLOCK", block)
    sae = tiny.sae()
    rows = geometry.unit_rows(sae)
    weights = sae.inner.W_dec.detach()
    cosine = torch.nn.functional.cosine_similarity(weights[:, None], weights[None], dim=-1)
    for feature in (0, 5, 63):
        near = geometry.nearest(rows, feature, 10)
        order = [i for i in cosine[feature].argsort(descending=True).tolist() if i != feature]
        assert [n.feature for n in near] == order[:10]
        assert [n.cosine for n in near] == pytest.approx(
            cosine[feature][order[:10]].tolist(), abs=1e-5
        )
    assert len(geometry.nearest(rows, 3, 1000)) == tiny.D_SAE - 1


def test_a_direction_of_any_length_has_neighbours():
    from steering.atlas.geometry import nearest_to, unit_rows

    rows = unit_rows(tiny.sae())
    near = nearest_to(rows, 7 * rows[5], 3)
    assert near[0].feature == 5
    assert near[0].cosine == pytest.approx(1.0, abs=1e-5)


def test_a_direction_of_length_zero_is_near_to_none():
    from steering.atlas.geometry import nearest, unit_rows

    sae = tiny.sae()
    with torch.no_grad():
        sae.inner.W_dec[4] = 0
    rows = unit_rows(sae)
    assert rows.isfinite().all()
    assert {n.cosine for n in nearest(rows, 4, 5)} == {0.0}


def test_rings_hold_every_neighbour_up_to_the_last_radius_once():
    from steering.atlas.geometry import nearest, unit_rows
    from steering.atlas.rings import Neighbour, rings

    near = [*nearest(unit_rows(tiny.sae()), 3, 63), Neighbour(99, 1.0)]
    found = rings(near, (0.5, 0.9, 1.1))
    assert [(ring.inner, ring.outer) for ring in found] == [(0.0, 0.5), (0.5, 0.9), (0.9, 1.1)]
    inside = [n for ring in found for n in ring.neighbours]
    assert sorted(inside) == sorted(n for n in near if 1 - n.cosine <= 1.1)
    assert found[0].neighbours[0] == (99, 1.0)
    for ring in found:
        assert all(1 - n.cosine <= ring.outer for n in ring.neighbours)


@pytest.mark.parametrize(
    "radii", [(), (0.0, 0.5), (0.5, 0.5), (0.9, 0.5), (0.5, 2.5), (float("nan"),)]
)
def test_radii_that_are_no_rings_are_refused(radii):
    from steering.atlas.rings import rings
    from steering.errors import AtlasError

    with pytest.raises(AtlasError, match="no rings"):
        rings([], radii)


def test_firing_together_stands_beside_pointing_the_same_way(tmp_path):
    from steering.atlas.cards import partners, show
    from steering.atlas.rings import APART
    from steering.atlas.together import together

    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", made.text_file(tmp_path), sae)
    (feature,) = atlas.one("SELECT feature FROM stats ORDER BY fired DESC") or (0,)
    found, fired = together(atlas, sae, feature), show(atlas, feature).fired
    assert [(t.feature, t.closeness, t.share) for t in found] == [
        (p.feature, p.closeness, p.both / fired) for p in partners(atlas, feature)
    ]
    weights = sae.inner.W_dec.detach()
    for each in found:
        pair = weights[feature], weights[each.feature]
        expected = torch.nn.functional.cosine_similarity(*pair, dim=0)
        assert each.cosine == pytest.approx(float(expected), abs=1e-5)
        assert each.apart == (each.cosine < APART)
    assert found[0].to_dict()["cosine"] == found[0].cosine


def test_the_unit_rows_of_some_features_are_those_of_all():
    from steering.atlas.geometry import unit_rows

    sae = tiny.sae()
    assert torch.equal(unit_rows(sae, [5, 2]), unit_rows(sae)[[5, 2]])


def test_what_was_never_seen_beside_another_fires_together_with_none(tmp_path):
    from steering.atlas.together import together

    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", made.text_file(tmp_path), sae)
    with atlas.writing() as db:
        db.run("DELETE FROM pairs WHERE feature = 3")
    assert together(atlas, sae, 3) == ()
