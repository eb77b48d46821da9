"""One feature as the atlas knows it."""

import json

import pytest

from tests import tiny
from tests.atlas import made


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    return made.build(folder / "a.sqlite", made.text_file(folder), tiny.sae())


def live(atlas):
    (feature,) = atlas.one("SELECT feature FROM stats ORDER BY fired DESC LIMIT 1")
    return feature


def test_a_card_has_what_was_measured(atlas):
    from steering.atlas.cards import known_max, show

    card = show(atlas, live(atlas))
    assert card.fired > 50
    assert card.density == card.fired / atlas.about.tokens
    assert 0 < card.quantiles[0.1] <= card.quantiles[0.5] <= card.quantiles[0.99] <= card.max_act
    assert card.decoder_norm == pytest.approx(float(tiny.sae().norms[card.feature]))
    assert known_max(atlas, card.feature) == card.max_act
    assert len(card.promoted) == len(card.demoted) == 20
    gains = [each.gain for each in card.promoted]
    assert gains == sorted(gains, reverse=True)
    assert card.demoted[0].gain == min(each.gain for each in card.demoted) < gains[-1]
    assert {each.text.strip() for each in card.promoted} <= set(tiny.tokenizer().get_vocab())
    assert (card.label, card.output_score, card.standing, card.cluster) == (None,) * 4
    assert json.loads(json.dumps(card.to_dict()))["quantiles"]["0.5"] == card.quantiles[0.5]


def test_examples_are_texts_with_the_token_marked(atlas):
    from steering.atlas.cards import examples, samples

    feature = live(atlas)
    best = examples(atlas, feature)
    assert [each.act for each in best] == sorted((e.act for e in best), reverse=True)
    assert len({each.row for each in best}) == len(best) == 20
    for each in best:
        assert len(each.pieces) == len(each.acts) > each.at
        assert each.acts[each.at] == pytest.approx(each.act, rel=1e-3)
        assert each.tenth is None
        shown = "".join(each.pieces).replace("<bos>", "").replace(" ", "")
        assert any(shown in text.replace(" ", "") for text in made.documents())
    tenths = [each.tenth or 0 for each in samples(atlas, feature)]
    assert tenths == sorted(tenths, reverse=True)
    assert 9 in tenths


def test_a_histogram_counts_every_firing(atlas):
    from steering.atlas.cards import histogram, show

    feature = live(atlas)
    found = histogram(atlas, feature)
    assert sum(found.counts) == show(atlas, feature).fired
    assert len(found.edges) == len(found.counts) + 1
    assert found.edges[0] < found.edges[-1]


def test_partners_fire_together_and_the_closest_comes_first(atlas):
    from steering.atlas.cards import partners
    from steering.atlas.labels import set_label

    found = partners(atlas, live(atlas))
    closeness = [each.closeness for each in found]
    assert closeness == sorted(closeness, reverse=True)
    assert 0 < closeness[-1] <= closeness[0] <= 1
    set_label(atlas, found[0].feature, "often beside it")
    assert partners(atlas, live(atlas))[0].label == "often beside it"
    set_label(atlas, found[0].feature, "")


def test_a_feature_that_never_fired_has_a_card_too(tmp_path):
    from steering.atlas.cards import examples, histogram, known_max, show

    text = made.text_file(tmp_path, ["the sea the sea"])
    atlas = made.build(tmp_path / "a.sqlite", text)
    (dead,) = atlas.one("SELECT feature FROM stats WHERE fired = 0") or (None,)
    assert dead is not None
    card = show(atlas, dead)
    assert (card.fired, card.max_act, card.density) == (0, 0.0, 0.0)
    assert len(card.promoted) == 20
    assert known_max(atlas, dead) is None
    assert (examples(atlas, dead), histogram(atlas, dead).counts) == ([], ())


def test_an_atlas_without_a_build_shows_what_little_it_knows(tmp_path):
    from steering.atlas.cards import show
    from steering.atlas.labels import set_label
    from steering.atlas.store import Atlas

    atlas = Atlas.create(tmp_path / "a.sqlite", tiny.sae())
    set_label(atlas, 3, "a bridge")
    card = show(atlas, 3)
    assert (card.label, card.promoted, card.quantiles) == ("a bridge", (), {})


def test_a_feature_that_does_not_exist_is_refused(atlas):
    from steering.atlas import cards
    from steering.errors import FeatureError

    for ask in (cards.show, cards.examples, cards.samples, cards.histogram, cards.partners):
        for feature in (-1, tiny.D_SAE):
            with pytest.raises(FeatureError, match="features 0 to 63"):
                ask(atlas, feature)


@pytest.mark.parametrize(
    ("score", "badge"), [(None, None), (0.0, "weak"), (0.01, "some"), (0.1, "strong")]
)
def test_the_badge_follows_the_output_score(score, badge):
    from steering.atlas.steerability import steerability

    assert steerability(score) == badge


def test_a_score_stands_among_all_scores_and_is_counted_again_after_a_write(tmp_path):
    from steering.atlas.cards import show
    from steering.atlas.search import described
    from steering.atlas.steerability import Standing, standing
    from steering.atlas.store import Atlas

    sae = tiny.sae()
    with Atlas.create(tmp_path / "a.sqlite", sae) as own:
        assert standing(own, 0.5) is None
        with own.writing() as db:
            db.many("INSERT INTO scores VALUES (?, ?)", enumerate([0.2, 0.9, 0.9, 0.0]))
        assert standing(own, 0.9) == Standing(top=0.5, bottom=1.0)
        assert standing(own, 0.0) == Standing(top=1.0, bottom=0.25)
        assert show(own, 0).standing == described(own, {0: ""})[0].standing == standing(own, 0.2)
        assert (standing(own, None), show(own, 5).standing) == (None, None)
        # Scored by another process meanwhile.
        with Atlas.open(tmp_path / "a.sqlite", sae) as other, other.writing() as db:
            db.many("INSERT INTO scores VALUES (?, ?)", enumerate([0.1, 0.1, 1.0, 1.0], start=4))
        assert standing(own, 1.0) == Standing(top=0.25, bottom=1.0)
