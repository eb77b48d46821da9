"""What fires on one token: both ranks, and what it does to the token behind it."""

import pytest
import torch

from tests import tiny
from tests.atlas import made
from tests.atlas.test_firing import TEXT, activations, encoded


def test_every_feature_of_a_token_has_its_place_in_both_ranks():
    from steering.atlas.token_activity import active_at

    model, sae = made.model(), tiny.sae()
    text = encoded(model, TEXT)
    acts, _ = activations(model, sae, text)
    found = active_at(model, sae, text, 3, limit=1000)
    here = acts[3]
    assert found.fired == int((here > 0).sum()) == len(found.by_activation)
    assert [each.feature for each in found.by_activation] == [
        i for i in here.argsort(descending=True).tolist() if here[i] > 0
    ]
    assert [each.activation_rank for each in found.by_activation] == list(range(1, found.fired + 1))
    effects = [each.attribution for each in found.by_attribution]
    assert effects == sorted(effects, reverse=True)
    assert [each.attribution_rank for each in found.by_attribution] == list(
        range(1, found.fired + 1)
    )
    assert set(found.by_activation) == set(found.by_attribution)
    assert len(active_at(model, sae, text, 3, limit=2).by_attribution) == 2


def test_attribution_is_to_the_token_that_follows_or_else_to_the_likeliest():
    from steering.atlas.firing import active
    from steering.atlas.token_activity import active_at

    model, sae = made.model(), tiny.sae()
    text = encoded(model, TEXT)
    last = len(text.ids) - 1
    assert active_at(model, sae, text, 3).target == model.pieces([text.ids[4]])[0]
    assert active_at(model, sae, text, last).target == active(model, sae, text).target


def test_a_feature_on_the_last_token_alone_has_the_attribution_of_the_whole_text():
    from steering.atlas.firing import active
    from steering.atlas.token_activity import active_at

    model, sae = made.model(), tiny.sae()
    text = encoded(model, TEXT)
    acts, counted = activations(model, sae, text)
    last = len(text.ids) - 1
    alone = (acts[counted[:-1]].amax(0) <= 0) & (acts[last] > 0)
    whole = {each.feature: each for each in active(model, sae, text, limit=1000).by_activation}
    here = active_at(model, sae, text, last, limit=1000).by_activation
    checked = [each for each in here if bool(alone[each.feature])]
    for each in checked:
        assert each.attribution == pytest.approx(whole[each.feature].attribution, rel=1e-3)
    assert checked or not bool(torch.any(alone))


def test_a_position_outside_the_text_is_refused():
    from steering.atlas.token_activity import active_at
    from steering.errors import PromptError

    model, sae = made.model(), tiny.sae()
    text = encoded(model, TEXT)
    with pytest.raises(PromptError, match="positions 0 to"):
        active_at(model, sae, text, len(text.ids))
