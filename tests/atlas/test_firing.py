"""Texts against features: activation, attribution by finite differences, two texts."""

import pytest
import torch

from tests import tiny
from tests.atlas import made

TEXT = "the bridge is red and the city"


def encoded(model, text, **options):
    return model.encode(text, prepend_bos=True, room=0, **options)


def activations(model, sae, text):
    with torch.no_grad():
        _, cache = model.bridge.run_with_cache(torch.tensor([text.ids]))
    acts = sae.encode(cache[sae.hook_name][0])
    counted = [at for at, special in enumerate(text.special) if at and not special]
    return acts, counted


@pytest.mark.parametrize("kind", ["jumprelu", "topk"])
def test_activation_is_the_highest_on_a_token_that_counts(kind, monkeypatch):
    from steering.atlas import attribution, firing

    monkeypatch.setattr(attribution, "_CELLS", 3 * tiny.D_SAE)
    model, sae = made.model(), tiny.sae(kind)
    text = encoded(model, f"{TEXT} <turn> fog")
    found = firing.active(model, sae, text, limit=1000).by_activation
    acts, counted = activations(model, sae, text)
    peaks = acts[counted].amax(0)
    assert [each.feature for each in found] == [
        i for i in peaks.argsort(descending=True).tolist() if peaks[i] > 0
    ]
    for each in found:
        assert each.activation == pytest.approx(float(peaks[each.feature]), rel=1e-4)
        assert float(acts[each.position, each.feature]) == pytest.approx(each.activation, rel=1e-4)
        assert each.position in counted
        assert each.mean == pytest.approx(float(acts[counted, each.feature].mean()), rel=1e-3)


@pytest.mark.parametrize("normalize", ["none", "layer_norm"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_attribution_is_what_a_little_less_of_the_feature_takes_away(kind, normalize):
    """By finite differences through SAELens's own decoder."""
    from steering.atlas.firing import active
    from steering.hook_points import HookPoint
    from steering.hooks import _hooked
    from steering.models import LanguageModel

    model = LanguageModel("tiny", tiny.hf_model(kind, scale=0.7), tiny.tokenizer())
    sae = tiny.sae(normalize_activations=normalize)
    text = encoded(model, TEXT)
    found = active(model, sae, text, target=" fog", limit=1000)
    assert found.target.strip() == "fog"
    token = model.tokenizer.encode("fog", add_special_tokens=False)[0]
    counted = torch.tensor([1.0 if at and not s else 0.0 for at, s in enumerate(text.special)])

    def logit(feature, share):
        def less(x):
            acts = sae.inner.encode(x.float())
            whole = sae.inner.decode(acts)
            acts = sae.inner.encode(x.float())
            acts[..., feature] *= 1 + share * counted
            return x + sae.inner.decode(acts) - whole

        with (
            torch.no_grad(),
            _hooked(
                model.site(HookPoint.parse(sae.hook_name)), less, HookPoint.parse(sae.hook_name)
            ),
        ):
            logits = model.hf(torch.tensor([text.ids])).logits[0, -1]
        return float((logits.double() - logits.double().mean())[token])

    for each in found.by_activation[:6]:
        by_hand = (logit(each.feature, 0.02) - logit(each.feature, -0.02)) / 0.04
        assert each.attribution == pytest.approx(by_hand, rel=0.1, abs=0.02)


def test_the_two_ranks_differ_and_each_is_sorted():
    from steering.atlas.firing import active

    model, sae = made.model(), tiny.sae()
    found = active(model, sae, encoded(model, TEXT))
    acts = [each.activation for each in found.by_activation]
    effects = [each.attribution for each in found.by_attribution]
    assert acts == sorted(acts, reverse=True)
    assert effects == sorted(effects, reverse=True)
    assert found.by_activation != found.by_attribution
    with torch.no_grad():
        logits = model.hf(torch.tensor([encoded(model, TEXT).ids])).logits[0, -1]
    assert found.target.strip() == model.decode([int(logits.argmax())]).strip()
    assert not [m for m in model.hf.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert all(weight.grad is None for weight in model.hf.parameters())


def test_what_lights_up_on_the_map_is_the_peak_of_every_feature(monkeypatch):
    from steering.atlas import attribution, firing

    monkeypatch.setattr(attribution, "_CELLS", 3 * tiny.D_SAE)
    model, sae = made.model(), tiny.sae()
    text = encoded(model, TEXT)
    acts, counted = activations(model, sae, text)
    found = firing.peaks(model, sae, text)
    torch.testing.assert_close(found, acts[counted].amax(0), atol=1e-4, rtol=1e-4)


def test_a_contrast_is_the_difference_of_means_both_ways():
    from steering.atlas.firing import contrast

    model, sae = made.model(), tiny.sae()
    one, other = encoded(model, TEXT), encoded(model, "we walk over the sea")
    found = contrast(model, sae, one, other, limit=10)
    means = []
    for text in (one, other):
        acts, counted = activations(model, sae, text)
        means.append(acts[counted].mean(0))
    gap = means[0] - means[1]
    assert [each.feature for each in found.first] == gap.argsort(descending=True)[:10].tolist()
    assert [each.feature for each in found.second] == gap.argsort()[:10].tolist()
    for each in (*found.first, *found.second):
        assert each.difference == pytest.approx(float(gap[each.feature]), abs=1e-3)
    same = contrast(model, sae, one, one)
    assert same.first == same.second == ()


def test_texts_without_a_token_that_counts_are_refused():
    from steering.atlas.firing import active, contrast
    from steering.errors import PromptError

    model, sae = made.model(), tiny.sae()
    empty = encoded(model, "<turn> <turn>")
    with pytest.raises(PromptError, match="No token of the text counts"):
        active(model, sae, empty)
    with pytest.raises(PromptError, match="No token of the text counts"):
        contrast(model, sae, encoded(model, TEXT), empty)
    with pytest.raises(PromptError, match="next word is empty"):
        active(model, sae, encoded(model, TEXT), target="")
    with pytest.raises(PromptError, match=r"is 2 tokens .*Give one of them"):
        active(model, sae, encoded(model, TEXT), target=" fog bridge")
