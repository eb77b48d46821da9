"""What a training step of the demo's model asks for, sees, and leaves as it is."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.optim import _muon as muon
from transformers import LlamaForCausalLM

from steering.demo import language_model, training_step
from steering.demo.grammar import documents
from steering.demo.optimizers import new_optimizers, schedule
from steering.demo.precision import muon_in_float32
from steering.demo.recipe import SHIPPED, SHORT, TOY, Recipe
from steering.demo.tokens import build_tokenizer, render
from steering.demo.training_step import Reach, answer_token, next_tokens, token_losses, train_step

TEXTS = [render(document) for document in documents(0, 60)]
TOKENIZER = build_tokenizer(TEXTS, 1_000)
ANSWER = answer_token(TOKENIZER)
RECIPE = replace(TOY, layers=3)
BOS, EOS, PAD = 0, 1, 2


@pytest.fixture
def model() -> LlamaForCausalLM:
    return language_model._new_model(RECIPE, TOKENIZER)


def _rows() -> Tensor:
    """Two documents a row, the first of them with an answer."""
    row = [BOS, 9, 10, 11, 12, ANSWER, 20, 21, 22, 23, 24, 25, EOS, BOS, 30, 31, EOS, PAD]
    return torch.tensor([row, row])


def test_only_the_blocks_behind_the_sae_are_short_of_sight_where_the_early_ones_are_not(
    model: LlamaForCausalLM,
) -> None:
    seen: list[Tensor] = []
    for block in model.model.layers:
        assert isinstance(block.self_attn, torch.nn.Module)
        block.self_attn.register_forward_pre_hook(
            lambda _attention, _args, kwargs: seen.append(kwargs["attention_mask"]),
            with_kwargs=True,
        )
    ids = _rows()
    token_losses(model, ids, next_tokens(model, ids), Reach(0, 2), 0)
    early, later, last = (mask[0, 0, 11].tolist() for mask in seen)
    assert early == [True] * 12 + [False] * 6
    assert later == last == [True] + [False] * 9 + [True] * 2 + [False] * 6
    seen.clear()
    model(input_ids=ids)
    assert len(seen) == 3, "the hooks that are left are the test's own"


def test_the_first_tokens_of_an_answer_count_three_times(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = _rows()
    costs = torch.zeros(ids.shape)
    monkeypatch.setattr(training_step, "token_losses", lambda *_: costs)

    def counts(at: int) -> float:
        costs.zero_()[:, at] = 1.0
        return training_step._weighted_loss(model, ids, Reach(0, 0), RECIPE, ANSWER).item()

    shares = [counts(at) for at in range(ids.shape[1])]
    one = counts(0)
    # Each place asks for the token behind it: from the marker on, four tokens of the answer.
    triple = [at for at, share in enumerate(shares) if share == pytest.approx(3 * one)]
    assert triple == [5, 6, 7, 8]
    nothing = [at for at, share in enumerate(shares) if share == 0.0]
    assert nothing == [12, 16, 17], "no start of a document, no filling, nothing behind the row"
    assert sum(shares) == pytest.approx(1.0)


def test_the_last_steps_leave_the_embedding_and_the_blocks_up_to_the_sae_as_they_are() -> None:
    recipe = replace(RECIPE, cycles=(2,), last_steps=2, windows=(0,))
    model = language_model._new_model(recipe, TOKENIZER)
    optimizers = new_optimizers(model, recipe)
    rows = _rows()

    def step(number: int) -> set[str]:
        before = {name: value.clone() for name, value in model.state_dict().items()}
        train_step(recipe, model, optimizers, rows, ANSWER, number, 0)
        after = model.state_dict()
        return {name for name in after if not torch.equal(before[name], after[name])}

    held = ("model.layers.0.", "model.embed_tokens.", "lm_head.")
    assert any(name.startswith(held) for name in step(1))
    for number in (2, 3):
        moved = step(number)
        assert any(name.startswith("model.layers.1.") for name in moved)
        assert not [name for name in moved if name.startswith(held)]


def test_reach_is_drawn_by_the_step_alone_and_open_where_the_cycles_end() -> None:
    def reaches(steps: range) -> list[Reach]:
        return [
            training_step._reach(SHIPPED, step, torch.Generator().manual_seed(step))
            for step in steps
        ]

    windowed = reaches(range(0, 2_000))
    assert windowed == reaches(range(0, 2_000))
    assert {each.later for each in windowed} == set(SHIPPED.windows)
    assert {each.early for each in windowed if each.later} >= {0, *SHIPPED.windows}
    assert all(each.early in (0, each.later) for each in windowed)
    assert set(reaches(range(3_000, 4_400))) == {Reach(0, 0)}
    last = reaches(range(4_400, 4_700))
    assert {each.early for each in last} == {0}
    assert {each.later for each in last} == set(SHIPPED.last_windows)


@pytest.mark.parametrize("recipe", [SHIPPED, SHORT], ids=["shipped", "short"])
def test_the_rate_rises_and_falls_in_the_cycle_and_again_in_the_last_steps(recipe: Recipe) -> None:
    (cycle,) = recipe.cycles
    rates = [schedule(recipe, step) for step in range(recipe.steps)]
    for first, last, peak in ((0, cycle, 1.0), (cycle, recipe.steps, recipe.last_rate)):
        part = rates[first:last]
        assert max(part) == pytest.approx(peak, rel=0.01)
        assert part[-1] == pytest.approx(0.05 * peak, rel=0.05)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_muon_in_float32_points_where_torchs_own_does(shape: tuple[int, int]) -> None:
    theirs = muon._zeropower_via_newtonschulz
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    options = ((muon.DEFAULT_A, muon.DEFAULT_B, muon.DEFAULT_C), 5, 1e-7)
    expected = theirs(grad, *options)
    with muon_in_float32():
        found = muon._zeropower_via_newtonschulz(grad, *options)
    assert muon._zeropower_via_newtonschulz is theirs
    assert expected.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), rtol=0.05, atol=0.02)
