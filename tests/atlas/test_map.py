"""The map: near features near, one seed one picture, clusters named after labels."""

import pytest
import torch

from tests import tiny
from tests.atlas import made


def blobs(count=5, size=30, width=20):
    torch.manual_seed(3)
    centres = torch.nn.functional.normalize(torch.randn(count, width), dim=-1)
    rows = centres.repeat_interleave(size, 0) + 0.05 * torch.randn(count * size, width)
    return torch.nn.functional.normalize(rows, dim=-1), torch.arange(count).repeat_interleave(size)


def test_points_that_lie_together_come_to_lie_together():
    from steering.atlas.layout import lay_out

    rows, own = blobs()
    places = lay_out(rows)
    assert places.isfinite().all()
    gaps = torch.cdist(places, places)
    gaps.fill_diagonal_(torch.inf)
    near = gaps.topk(5, largest=False).indices
    assert float((own[near] == own[:, None]).float().mean()) > 0.98
    inside = torch.stack([places[own == i].std(0).norm() for i in range(5)]).mean()
    between = torch.pdist(torch.stack([places[own == i].mean(0) for i in range(5)])).min()
    assert between > inside


def test_one_seed_gives_one_picture():
    from steering.atlas.layout import lay_out

    rows, _ = blobs()
    assert torch.equal(lay_out(rows, seed=1, epochs=30), lay_out(rows, seed=1, epochs=30))
    assert not torch.equal(lay_out(rows, seed=1, epochs=30), lay_out(rows, seed=2, epochs=30))


def test_neighbours_are_the_same_in_smaller_blocks_and_their_number_is_told(monkeypatch):
    from steering.atlas import layout

    rows, _ = blobs()
    heard = []
    whole = layout._near(rows, 6, lambda *said: None)
    monkeypatch.setattr(layout, "_CELLS", 40 * len(rows))
    parts = layout._near(rows, 6, lambda *said: heard.append(said))
    assert torch.equal(whole[1], parts[1])
    assert [done for _, done, _ in heard] == [40, 80, 120, 150]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_few_points_have_places_too(count):
    from steering.atlas.layout import clusters, lay_out

    rows, _ = blobs()
    places = lay_out(rows[:count])
    assert places.shape == (count, 2)
    assert places.isfinite().all()
    assert len(clusters(places, 2)) == count


def test_equal_rows_do_not_break_it():
    from steering.atlas.layout import lay_out

    rows, _ = blobs()
    assert lay_out(rows[:1].repeat(40, 1), epochs=50).isfinite().all()


def test_clusters_are_the_blobs():
    from steering.atlas.layout import clusters, lay_out

    rows, own = blobs()
    found = clusters(lay_out(rows), 5)
    assert len({(a, b) for a, b in zip(own.tolist(), found.tolist(), strict=True)}) == 5
    assert len(set(found.tolist())) == 5


def test_names_are_words_of_a_cluster_that_others_lack():
    from steering.atlas.map import cluster_names

    names = cluster_names(
        {
            0: ["fires on “bridge”", "fires on “bridge” and “gate”", "fires on “gate”"],
            1: ["fires on “whale”", "fires on “seal”, 2020"],
            2: [],
        }
    )
    assert names[0].split(", ")[:2] == ["bridge", "gate"]
    assert set(names[1].split(", ")) >= {"whale", "seal"}
    assert 2 not in names


def test_no_two_clusters_have_the_same_words_and_none_says_what_kind_of_label_it_has():
    from steering.atlas.map import cluster_names

    said = ["the tone of fog (F1 0.02) → golden gate (+4.7 nats)", "pushes towards a golden gate"]
    names = cluster_names(
        {0: said, 1: said, 2: said, 3: said, 4: [*said, "talk about whales; whales"]}
    )
    words = [frozenset(name.split(", ")) for name in names.values()]
    assert len(words) == len(set(words)) == 5
    assert set().union(*words) == {"fog", "golden", "gate", "whales"}
    assert names[4].split(", ")[0] == "whales"


def test_a_cluster_whose_every_word_is_another_ones_has_no_name():
    from steering.atlas.map import cluster_names

    names = cluster_names({0: ["a lighthouse", "fog"], 1: ["a lighthouse"], 2: ["lighthouse"]})
    assert sorted(names.values()) == ["fog, lighthouse", "lighthouse"]


def test_what_every_cluster_says_alike_is_no_clusters_name():
    from steering.atlas.map import cluster_names

    own = (("whale", "seal", "orca"), ("waltz", "fugue", "opera"), ("pasta", "sushi", "pesto"))
    texts = {
        cluster: [f"talk about {word}" for word in words] * 2 + ["Golden Gate"] * 9
        for cluster, words in enumerate(own)
    }
    names = cluster_names(texts)
    assert [set(names[each].split(", ")) for each in texts] == [set(words) for words in own]


def test_the_map_is_stored_with_live_features_alone(tmp_path):
    from steering.atlas.cards import show
    from steering.atlas.labels import set_label
    from steering.atlas.map import make_map, map_points, name_clusters, silent_on_map

    sae = tiny.sae()
    atlas = made.build(tmp_path / "a.sqlite", made.text_file(tmp_path), sae)
    live = [f for (f,) in atlas.rows("SELECT feature FROM stats WHERE fired > 0")]
    assert make_map(atlas, sae) == len(live)
    points = map_points(atlas)
    assert points.features.tolist() == live
    assert points.names == {}
    again = map_points(atlas)
    make_map(atlas, sae)
    assert map_points(atlas).x.tolist() == again.x.tolist()
    set_label(atlas, live[0], "a lighthouse")
    name_clusters(atlas)
    assert show(atlas, live[0]).cluster == "lighthouse"
    assert silent_on_map(atlas) == 0
    with atlas.writing() as db:
        db.many("UPDATE stats SET fired = 0 WHERE feature = ?", [(live[0],), (live[1],)])
    assert silent_on_map(atlas) == 2


def test_there_is_no_map_before_a_build(tmp_path):
    from steering.atlas.map import make_map, map_points
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    atlas = Atlas.create(tmp_path / "a.sqlite", tiny.sae())
    with pytest.raises(AtlasError, match="steer atlas build"):
        make_map(atlas, tiny.sae())
    with pytest.raises(AtlasError, match="steer atlas map"):
        map_points(atlas)
