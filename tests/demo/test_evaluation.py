"""SAELens's evaluation of an SAE says what one finds by hand, document by document."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from steering.demo.evaluation import evaluate_sae
from tests import tiny

BOS, EOS, PAD = 0, 1, 2
WIDTH = 16


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A Llama of two layers, with ids 0, 1 and 2 special as in the demo."""
    tokenizer = copy.deepcopy(tiny.tokenizer())
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(PAD)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_perfect_sae_explains_everything(model_folder: Path, tmp_path: Path) -> None:
    sae = tiny.lens_sae("standard", hook_name="blocks.0.hook_resid_post", d_in=WIDTH, d_sae=32)
    eye = torch.eye(WIDTH)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([eye, -eye], dim=1))
        sae.W_dec.copy_(torch.cat([eye, -eye]))
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    sae.save_model(tmp_path / "sae")
    quality = evaluate_sae(tmp_path / "sae", model_folder, _rows(_documents()))
    assert quality.unexplained == pytest.approx(0, abs=1e-5)
    assert quality.ce_loss_score == pytest.approx(1, abs=1e-5)
    assert quality.ce_loss_with_sae == pytest.approx(quality.ce_loss_without_sae, abs=1e-5)
    assert (quality.l0, quality.dead) == (WIDTH, 0)


def test_every_document_counts_once_and_is_read_alone(model_folder: Path, tmp_path: Path) -> None:
    sae = tiny.lens_sae("jumprelu", hook_name="blocks.0.hook_resid_post", d_in=WIDTH, d_sae=24)
    with torch.no_grad():
        sae.b_enc[:6] = -1e6
    sae.save_model(tmp_path / "sae")
    documents = _documents()
    quality = evaluate_sae(tmp_path / "sae", model_folder, _rows(documents))

    stream, loss = _by_hand(model_folder, documents)
    with torch.no_grad():
        acts = sae.encode(stream)
        missed = (stream - sae.decode(acts)).square().sum(dim=1)
    variance = (stream - stream.mean(dim=0)).square().sum(dim=1)
    assert quality.tokens == len(stream)
    assert quality.unexplained == pytest.approx(float(missed.mean() / variance.mean()), rel=1e-4)
    assert quality.mse == pytest.approx(float(missed.mean()), rel=1e-4)
    assert quality.l0 == pytest.approx(float((acts > 0).sum(dim=1).float().mean()), rel=1e-4)
    assert quality.dead == pytest.approx(float((acts <= 0).all(dim=0).float().mean()))
    assert quality.ce_loss_without_sae == pytest.approx(loss, rel=1e-4)


def _documents() -> list[Tensor]:
    """Documents of many lengths, more than one batch of them and not a whole number of batches."""
    lengths = torch.randint(3, 24, (45,)).tolist()
    return [torch.tensor([BOS, *torch.randint(3, 40, (n,)).tolist(), EOS]) for n in lengths]


def _rows(documents: list[Tensor]) -> Tensor:
    """Three documents in a row, padded behind."""
    threes = [torch.cat(documents[at : at + 3]) for at in range(0, len(documents), 3)]
    return torch.nn.utils.rnn.pad_sequence(threes, batch_first=True, padding_value=PAD)


@torch.no_grad()
def _by_hand(model_folder: Path, documents: list[Tensor]) -> tuple[Tensor, float]:
    """The stream at every ordinary token, and the mean loss of what follows one."""
    model = LlamaForCausalLM.from_pretrained(model_folder).eval()
    streams, losses = [], []
    for ids in documents:
        out = model(ids[None], output_hidden_states=True)
        streams.append(out.hidden_states[1][0, 1:-1])
        losses.append(
            torch.nn.functional.cross_entropy(out.logits[0, 1:-1], ids[2:], reduction="none")
        )
    return torch.cat(streams), float(torch.cat(losses).mean())
