"""Quick figures off a small text: equal to a naive recount, position 0 and specials left out."""

from typing import Any

import pytest
import torch

from tests import tiny

TEXT = "the bridge is red\n---\nwe <turn> walk over the sea\n---\nfog\n---\nthe bay and the tower"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "calibration.txt"
    path.write_text(TEXT)
    return path


def point():
    from steering.hook_points import HookPoint

    return HookPoint.parse("blocks.1.hook_resid_post")


def naive_stream(model: Any, special: frozenset[int]) -> torch.Tensor:
    """Document by document through transformers' own hidden states."""
    rows = []
    hf: Any = model.hf
    for document in TEXT.split("\n---\n"):
        ids = model.encode(document, prepend_bos=True).ids
        with torch.no_grad():
            hidden = hf(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0]
        rows += [hidden[i] for i, token in enumerate(ids) if i and token not in special]
    return torch.stack(rows)


def calibration(session, text):
    from steering.calibration import calibrate

    return calibrate(session.model, [point()], prepend_bos=True, text=text)[point()]


def test_the_stream_is_every_ordinary_token_once(text):
    session = tiny.session()
    found = calibration(session, text).stream
    expected = naive_stream(session.model, session.model.special_ids)
    assert found.shape == expected.shape
    order = lambda rows: rows[rows[:, 0].argsort()]  # noqa: E731
    torch.testing.assert_close(order(found), order(expected), atol=1e-4, rtol=1e-4)


def test_the_median_norm_and_the_maximum_are_a_naive_recount(text):
    session = tiny.session()
    sae = session.saes["sae"]
    found = calibration(session, text)
    stream = naive_stream(session.model, session.model.special_ids)
    assert found.median_norm(None) == pytest.approx(float(stream.norm(dim=-1).median()), rel=1e-4)
    acts = sae.encode(stream)
    often = int((acts > 0).sum(0).argmax())
    maximum, fired = found.estimate_max_act(sae, often)
    assert fired == int((acts[:, often] > 0).sum())
    assert maximum == pytest.approx(float(acts[:, often].max()), rel=1e-4)


@pytest.mark.parametrize("scaling", ["layer_norm", "constant_norm_rescale"])
def test_norms_are_counted_where_the_saes_activations_count(scaling, text):
    """One median norm added must be as long as the median stream, after the scale is undone."""
    session = tiny.session(normalize_activations=scaling)
    sae = session.saes["sae"]
    found = calibration(session, text)
    _, scale = sae.scaling.apply(found.stream)
    assert scale is not None
    share = found.median_norm(sae) * scale[:, 0] / found.stream.norm(dim=-1)
    assert float(share.median()) == pytest.approx(1.0, rel=0.1)


def test_unexplained_is_one_for_an_sae_that_says_only_the_mean(text):
    session = tiny.session("standard")
    found = calibration(session, text)
    lens: Any = session.saes["sae"].inner
    with torch.no_grad():
        lens.W_enc.zero_()
        lens.get_parameter("b_enc").zero_()
        lens.b_dec.copy_(found.stream.mean(0))
    assert found.unexplained(session.saes["sae"]) == pytest.approx(1.0, abs=1e-4)


def test_reading_stops_behind_the_last_place_asked_for(text):
    session = tiny.session()
    reached = []
    last = session.model.hf.get_submodule("model.layers.2")
    handle = last.register_forward_hook(lambda *_: reached.append(True))
    calibration(session, text)
    handle.remove()
    assert not reached
