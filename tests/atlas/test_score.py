"""Output scores by hand, in batches, and taken up again."""

import pytest
import torch

from tests import tiny
from tests.atlas import made


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    monkeypatch.setattr("steering.atlas.score.PROMPT", "the bridge of")
    return made.build(tmp_path / "a.sqlite", made.text_file(tmp_path))


def scores(atlas):
    return dict(atlas.rows("SELECT feature, output_score FROM scores"))


@pytest.mark.parametrize("batch", [7, 64])
def test_scores_are_those_of_the_paper_by_hand(atlas, batch, monkeypatch):
    from steering.atlas import score
    from steering.atlas.cards import show
    from steering.hook_points import HookPoint
    from steering.hooks import _hooked

    monkeypatch.setattr(score, "BATCH", batch)
    model, sae = made.model(), tiny.sae()
    steps = list(score.score(atlas, model, sae))
    assert [step.done for step in steps][-1] == steps[0].total
    assert steps[-1].seconds_left == 0
    live = [f for (f,) in atlas.rows("SELECT feature FROM stats WHERE fired > 0")]
    found = scores(atlas)
    assert sorted(found) == live
    ids = torch.tensor([model.encode("the bridge of", prepend_bos=True).ids])
    point = HookPoint.parse(sae.hook_name)
    names = {name: i for name, i in model.tokenizer.get_vocab().items()}
    for feature in live[:10]:

        def amplified(x, feature=feature):
            acts = sae.inner.encode(x)
            whole = sae.inner.decode(acts)
            most = float((acts[0, -1] * sae.norms).max())
            more = sae.inner.encode(x)
            more[:, -1, feature] += 10 * most / sae.norms[feature]
            return x + sae.inner.decode(more) - whole

        with torch.no_grad(), _hooked(model.site(point), amplified, point):
            probs = model.hf(ids).logits[0, -1].softmax(-1)
        own = [names[each.text.strip()] for each in show(atlas, feature).promoted]
        order = probs.argsort(descending=True).tolist()
        rank = min(order.index(token) for token in own)
        by_hand = (1 - rank / len(probs)) * float(probs[own].max())
        assert found[feature] == pytest.approx(by_hand, rel=1e-3, abs=1e-6)


def test_scoring_goes_on_where_it_ended(atlas, monkeypatch):
    from steering.atlas import score

    monkeypatch.setattr(score, "BATCH", 5)
    model, sae = made.model(), tiny.sae()
    for step in score.score(atlas, model, sae):
        if step.done == 10:
            break
    half = scores(atlas)
    assert len(half) == 10
    rest = list(score.score(atlas, model, sae))
    whole = scores(atlas)
    assert rest[0].total == len(whole) - 10
    assert {feature: whole[feature] for feature in half} == half
    assert list(score.score(atlas, model, sae)) == []
    list(score.score(atlas, model, sae, restart=True))
    assert scores(atlas) == whole


def test_where_nothing_fires_there_is_no_size_to_steer_by(atlas, monkeypatch):
    from steering.atlas.score import score
    from steering.errors import AtlasError

    sae = tiny.sae()
    monkeypatch.setattr(sae, "encode", lambda x: x.new_zeros(len(x), sae.d_sae))
    with pytest.raises(AtlasError, match=r"No feature of SAE .* fires on the last token"):
        next(score(atlas, made.model(), sae))


def test_an_atlas_without_statistics_or_of_another_sae_is_refused(atlas, tmp_path):
    from steering.atlas.score import score
    from steering.atlas.store import Atlas
    from steering.errors import AtlasError

    bare = Atlas.create(tmp_path / "b.sqlite", tiny.sae())
    with pytest.raises(AtlasError, match="no statistics"):
        next(score(bare, made.model(), tiny.sae()))
    with pytest.raises(AtlasError, match="fingerprint"):
        next(score(atlas, made.model(), tiny.sae(seed=1)))


def test_the_best_placed_promoted_token_counts():
    from steering.atlas.score import output_scores

    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).repeat(3, 1)
    promoted = torch.tensor([[0, 3], [1, 2], [3, 3]])
    chance = logits[0].softmax(-1).tolist()
    expected = [chance[0], chance[1] * 0.75, chance[3] * 0.25]
    assert output_scores(logits, promoted).tolist() == pytest.approx(expected)
