"""The preflight: a pair that fits is fine, and each way of not fitting is told from the others."""

import json

import pytest
import torch

from tests import tiny

D = tiny.D_MODEL


def exact(hook_name: str = "blocks.1.hook_resid_post", *, threshold: float = 0.0, **options):
    """An SAE that loses nothing but what lies under its threshold: each axis, both directions."""
    lens = tiny.lens_sae("jumprelu", hook_name=hook_name, d_sae=3 * D, **options)
    with torch.no_grad():
        for weight in lens.parameters():
            weight.zero_()
        lens.W_enc[:, :D] = torch.eye(D)
        lens.W_enc[:, D : 2 * D] = -torch.eye(D)
        lens.W_dec[: 2 * D] = lens.W_enc[:, : 2 * D].T
        lens.threshold.fill_(threshold)
    return lens


@pytest.fixture
def text(tmp_path_factory):
    """A short calibration text, since every test reads it several times."""
    folder = tmp_path_factory.mktemp("sae")
    words = [" ".join(tiny.WORDS[i:] + tiny.WORDS[:i]) for i in range(6)]
    (folder / "calibration.txt").write_text("\n---\n".join(words))
    return folder


def embeddings(model) -> torch.Tensor:
    """The matrix of a model's token embeddings."""
    return model.get_input_embeddings().weight


def session(lens, folder, model=None):
    """A session with this SAE, on a tiny model or the one given."""
    from steering.models import LanguageModel
    from steering.sae import Sae
    from steering.session import Session

    language_model = LanguageModel("tiny", model or tiny.hf_model(), tiny.tokenizer())
    return Session(language_model, {"sae": Sae("made here", lens, source=folder)})


@pytest.fixture
def report(text):
    """What the preflight says of an SAE, on a tiny model or the one given."""
    from steering.doctor import examine

    return lambda lens, model=None: examine(session(lens, text, model), "sae")


def test_a_pair_that_fits_is_fine(report):
    found = report(exact())
    assert found.ok, found.findings
    assert found.unexplained == pytest.approx(0, abs=1e-6)
    assert found.l0 == pytest.approx(D)
    assert found.seen == 2 * D
    assert found.decoder_norms == (0.0, 1.0, 1.0)
    assert found.median_norm > 0
    assert json.loads(json.dumps(found.to_dict()))["ok"] is True
    assert "verdict               fine" in found.to_text()


def test_figures_are_those_of_the_whole_text(text, monkeypatch):
    """Taken a few tokens at a time, to spare memory."""
    from steering import doctor

    made = session(tiny.lens_sae(), text)
    stream = made.calibration(made.saes["sae"]).stream
    whole = doctor._figures(made.saes["sae"], stream)
    monkeypatch.setattr(doctor, "TOKENS_AT_ONCE", 7)
    parts = doctor._figures(made.saes["sae"], stream)
    assert parts.unexplained == pytest.approx(whole.unexplained, rel=1e-5)
    assert (parts.l0, parts.seen) == (whole.l0, whole.seen)
    known = made.calibration(made.saes["sae"]).unexplained(made.saes["sae"])
    assert whole.unexplained == pytest.approx(known, rel=1e-5)


def test_a_wrong_layer_is_named(report):
    """Embeddings in four dimensions: an SAE that holds just those fits before block 0 only."""
    model = tiny.hf_model()
    with torch.no_grad():
        embeddings(model)[:, 4:] = 0
    lens = exact("blocks.0.hook_resid_post")
    with torch.no_grad():
        lens.W_enc[4:] = 0
    found = report(lens, model)
    assert "wrong hook: it fits blocks.0.hook_resid_pre" in found.findings[0].cause


def test_a_missing_input_scale_is_named(report):
    """The stream is so small that everything lies under the threshold."""
    model = tiny.hf_model(scale=0.001)
    found = report(exact(threshold=0.05), model)
    assert "missing input scale" in found.findings[0].cause
    assert found.l0 < 1
    assert len(found.findings) == 2


def lifted():
    """A model whose stream has a mean of its own at each token, as raw GPT-2's has."""
    model = tiny.hf_model()
    with torch.no_grad():
        weight = embeddings(model)
        weight += 300 * torch.randn(len(weight), 1)
    return model


def centred_sae():
    lens = exact("blocks.0.hook_resid_pre")
    with torch.no_grad():
        lens.W_dec -= lens.W_dec.mean(dim=-1, keepdim=True)
    return lens


def test_missing_centring_is_named(report):
    found = report(centred_sae(), lifted())
    assert not found.centred
    assert "centred writing weights" in found.findings[0].cause
    assert found.unexplained_centred < 0.01 < found.unexplained


def test_wrong_bos_handling_is_named(text, monkeypatch):
    from steering import doctor

    made = session(exact(threshold=1e9), text)
    real = doctor.calibrate

    def calibrate(model, points, *, prepend_bos, **options):
        found = real(model, points, prepend_bos=prepend_bos, **options)
        if prepend_bos:
            return found
        return {p: doctor.Calibration(c.stream * 1e9, c.first) for p, c in found.items()}

    monkeypatch.setattr(doctor, "calibrate", calibrate)
    cause = doctor.examine(made, "sae").findings[0].cause
    assert "it fits texts without BOS" in cause


def test_another_model_is_named_where_nothing_helps(report):
    found = report(tiny.lens_sae(metadata={"model_name": "other-model"}))
    assert "trained on 'other-model'" in found.findings[0].cause
    same = report(tiny.lens_sae())
    assert "another checkpoint" in same.findings[0].cause


def test_a_model_that_gives_no_numbers_is_off(report):
    model = tiny.hf_model()
    with torch.no_grad():
        embeddings(model)[:, 0] = torch.nan
    found = report(exact(), model)
    assert "NaN or infinite" in found.findings[0].what
