"""Reading features: against SAELens itself, for every kind of SAE and every input scaling."""

import pytest
import torch

from tests import tiny

SCALINGS = ["none", "layer_norm", "constant_norm_rescale"]


@pytest.fixture
def stream() -> torch.Tensor:
    return 5 * torch.randn(2, 9, tiny.D_MODEL) + 1


@pytest.mark.parametrize("normalize_activations", SCALINGS)
@pytest.mark.parametrize("apply_b_dec_to_input", [True, False])
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_reading_a_few_features_is_saelens_encode_times_decoder_norm(
    kind, normalize_activations, apply_b_dec_to_input, stream
):
    lens = tiny.lens_sae(
        kind,
        normalize_activations=normalize_activations,
        apply_b_dec_to_input=apply_b_dec_to_input,
    )
    from steering.sae import Sae

    features = [5, 0, 63, 17]
    acts, _ = Sae("x", lens).reader(features)(stream)
    expected = (lens.encode(stream) * lens.W_dec.norm(dim=-1))[..., features]
    torch.testing.assert_close(acts, expected, atol=1e-4, rtol=1e-4)
    assert (expected > 0).any(), "a test on features that never fire proves nothing"


def test_topk_that_rescales_by_decoder_norm_is_already_in_our_unit(stream):
    lens = tiny.lens_sae("topk", rescale_acts_by_decoder_norm=True)
    from steering.sae import Sae

    acts, _ = Sae("x", lens).reader([1, 2, 3])(stream)
    torch.testing.assert_close(acts, lens.encode(stream)[..., [1, 2, 3]], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("normalize_activations", SCALINGS)
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_activation_times_scale_times_direction_is_what_the_feature_writes(
    kind, normalize_activations, stream
):
    lens = tiny.lens_sae(kind, normalize_activations=normalize_activations)
    from steering.sae import Sae

    sae = Sae("x", lens)
    acts, scale = sae.reader([7])(stream)
    written = acts * (1.0 if scale is None else scale) @ sae.directions([7])
    with_it = lens.encode(stream)
    whole = lens.decode(with_it)
    without = lens.encode(stream)
    without[..., 7] = 0
    torch.testing.assert_close(written, whole - lens.decode(without), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_centred_writing_weights_are_the_same_as_subtracting_each_tokens_mean(kind, stream):
    asked = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    with pytest.warns(UserWarning, match="model_from_pretrained_kwargs"):
        lens = tiny.lens_sae(kind, metadata=asked)
    from steering.sae import Sae

    sae = Sae("x", lens)
    centred = stream - stream.mean(dim=-1, keepdim=True)
    expected = (lens.encode(centred) * lens.W_dec.norm(dim=-1))[..., [3, 4]]
    torch.testing.assert_close(sae.reader([3, 4])(stream)[0], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sae.encode(stream)[..., [3, 4]], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_nothing_changes_a_weight(kind, stream):
    lens = tiny.lens_sae(kind)
    before = {name: weight.clone() for name, weight in lens.state_dict().items()}
    from steering.sae import Sae

    sae = Sae("x", lens)
    for use in (sae.encode, sae.reconstruct, sae.reader([1])):
        use(stream)
    sae.directions([1])
    assert sae.fingerprint
    assert all(torch.equal(before[name], weight) for name, weight in lens.state_dict().items())


def test_the_fingerprint_does_not_depend_on_file_or_copy(tmp_path):
    from steering.sae import Sae

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    loaded = Sae.load(folder)
    assert loaded.fingerprint == tiny.sae().fingerprint
    assert loaded.fingerprint == Sae("other name", loaded.inner.to("cpu")).fingerprint


def test_the_fingerprint_of_bfloat16_weights_does_not_depend_on_the_dtype_they_are_held_in():
    from steering.sae import Sae

    rounded = tiny.lens_sae().to(torch.bfloat16)
    held_low = Sae("x", rounded).fingerprint
    assert Sae("x", rounded.to(torch.float32)).fingerprint == held_low


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"hook_name": "blocks.0.hook_resid_post"}, {"d_sae": 65}]
)
def test_another_sae_has_another_fingerprint(change):
    assert tiny.sae(**change).fingerprint != tiny.sae().fingerprint


@pytest.mark.filterwarnings("ignore:.*model_from_pretrained_kwargs")
def test_the_fingerprint_tells_settings_apart_that_change_activations():
    asked = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    assert tiny.sae(metadata=asked).fingerprint != tiny.sae().fingerprint
    rescaled = tiny.sae("topk", rescale_acts_by_decoder_norm=True)
    assert rescaled.fingerprint != tiny.sae("topk").fingerprint


def test_one_changed_weight_in_a_seeded_row_changes_the_fingerprint():
    lens = tiny.lens_sae()
    from steering.sae import Sae

    before = Sae("x", lens).fingerprint
    with torch.no_grad():
        lens.W_dec[0, 0] += 1
    assert Sae("x", lens).fingerprint != before


@pytest.mark.parametrize("feature", [-1, 64])
def test_a_feature_that_does_not_exist_says_what_does(feature):
    from steering.errors import FeatureError

    with pytest.raises(FeatureError, match=r"not in SAE 'tiny-jumprelu'.* features 0 to 63"):
        tiny.sae().directions([feature])


def test_a_decoder_row_of_length_zero_is_refused():
    lens = tiny.lens_sae()
    with torch.no_grad():
        lens.W_dec[3] = 0
    from steering.errors import FeatureError
    from steering.sae import Sae

    with pytest.raises(FeatureError, match="length 0"):
        Sae("x", lens).directions([3])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"kind": "matching_pursuit"}, "matching_pursuit"),
        ({"kind": "abstopk"}, "abstopk"),
        ({"metadata": {"hook_name_out": "blocks.2.hook_mlp_out"}}, "writes 'blocks.2"),
        ({"metadata": {"hook_head_index": 3}}, "one attention head"),
        ({"normalize_activations": "expected_average_only_in"}, "expected_average_only_in"),
        ({"normalize_activations": "covariance_whitening"}, "covariance_whitening"),
    ],
)
def test_what_would_not_be_exact_is_refused_by_name(options, why):
    from steering.errors import UnsupportedSaeError

    with pytest.raises(UnsupportedSaeError, match=why):
        tiny.sae(**options)


@pytest.mark.filterwarnings("ignore:.*model_from_pretrained_kwargs")
def test_unknown_model_processing_is_refused_by_name():
    from steering.errors import UnsupportedSaeError

    with pytest.raises(UnsupportedSaeError, match="fold_ln"):
        tiny.sae(metadata={"model_from_pretrained_kwargs": {"fold_ln": True}})


def test_a_folder_of_a_training_sae_says_how_to_save_it(tmp_path):
    from steering.errors import UnsupportedSaeError
    from steering.sae import Sae

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    cfg = (folder / "cfg.json").read_text().replace('"jumprelu"', '"batchtopk"')
    (folder / "cfg.json").write_text(cfg)
    with pytest.raises(UnsupportedSaeError, match="save_inference_model"):
        Sae.load(folder)


def test_a_missing_folder_and_an_unknown_release_say_what_to_do(tmp_path):
    from steering.errors import LoadError
    from steering.sae import Sae

    with pytest.raises(LoadError, match="no such folder"):
        Sae.load(tmp_path / "nothing")
    with pytest.raises(LoadError, match=r"no SAE release 'gpt2-smal-res-jb'.*gpt2-small-res-jb"):
        Sae.load(("gpt2-smal-res-jb", "blocks.8.hook_resid_pre"))
    with pytest.raises(LoadError, match=r"blocks\.8\.hook_resid_pre"):
        Sae.load(("gpt2-small-res-jb", "blocks.8.hook_resid"))


def test_a_features_file_is_read_and_a_newer_one_refused(tmp_path):
    from steering.errors import LoadError
    from steering.sae import Sae

    folder = tiny.tiny_sae_folder(tmp_path / "sae")
    written = '{"schema_version": 1, "tokens": 10, "features": {"3": {"max_act": 2.5}}}'
    (folder / "features.json").write_text(written)
    assert Sae.load(folder).facts[3].max_act == 2.5
    (folder / "features.json").write_text('{"schema_version": 2, "features": {}}')
    with pytest.raises(LoadError, match="version 2"):
        Sae.load(folder).facts  # noqa: B018
