"""One step of the language model's training: what it reads, how far back, and what that costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.corpus import attention_mask
from steering.demo.optimizers import groups, schedule
from steering.demo.precision import is_quick_in_bfloat16
from steering.demo.recipe import Recipe

UNASKED = -100  # a target that costs nothing, in torch's words
_ANSWER = "Assistant:\n"


@dataclass(frozen=True)
class Reach:
    """How far back blocks see in one step, in tokens (0: to the document's start)."""

    early: int
    """Of the blocks up to the first SAE."""
    later: int
    """Of those behind it."""


def train_step(
    recipe: Recipe,
    model: LlamaForCausalLM,
    optimizers: tuple[torch.optim.Optimizer, ...],
    rows: Int[Tensor, "rows row"],
    answer: int,
    step: int,
    rank: int,
) -> float:
    """Take one step on a process's share of the batch, and give the loss.

    Args:
        recipe: The batch, the rates and the reach.
        model: Whose weights move, but for those that the step holds.
        optimizers: Of `optimizers.new_optimizers`.
        rows: All packed rows.
        answer: The token that stands before an answer (`answer_token`).
        step: Which rows are drawn and how far blocks see depends on it alone.
        rank: Of the process among those that share the batch.
    """
    # A generator per step: which rows and which window depend on the step alone, so that a
    # resumed run goes on exactly as an unbroken one.
    draw = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    ids = rows[torch.randint(len(rows), (recipe.batch,), generator=draw).to(rows.device)]
    ids = ids.chunk(recipe.processes)[rank]
    reach = _reach(recipe, step, draw)
    _hold(model, recipe, step)
    for group in groups(optimizers):
        group["lr"] = group["peak"] * schedule(recipe, step)
    with torch.autocast(
        rows.device.type, torch.bfloat16, enabled=is_quick_in_bfloat16(rows.device)
    ):
        loss = _weighted_loss(model, ids, reach, recipe, answer)
    loss.backward()
    if recipe.processes > 1:
        _share_gradients(model, recipe.processes)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def _reach(recipe: Recipe, step: int, draw: torch.Generator) -> Reach:
    """How far the blocks see in a step."""
    if step >= sum(recipe.cycles):
        at = int(torch.randint(len(recipe.last_windows), (), generator=draw))
        return Reach(0, recipe.last_windows[at])
    later = recipe.windows[int(torch.randint(len(recipe.windows), (), generator=draw))]
    if step >= recipe.windowed * sum(recipe.cycles):
        return Reach(0, 0)
    early = later if torch.rand((), generator=draw) < recipe.early_windowed else 0
    return Reach(early, later)


def _hold(model: LlamaForCausalLM, recipe: Recipe, step: int) -> None:
    """In the last steps, leave all that the first SAE reads as it is."""
    learns = step < sum(recipe.cycles)
    model.model.embed_tokens.requires_grad_(learns)
    for block in model.model.layers[: recipe.sae_layer + 1]:
        block.requires_grad_(learns)


def answer_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """What stands before every answer: one token, as every speaker's marker."""
    (token,) = tokenizer.encode(_ANSWER, add_special_tokens=False)
    return token


def _share_gradients(model: LlamaForCausalLM, processes: int) -> None:
    """Replace every process's gradients by their mean, in one message."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _weighted_loss(
    model: LlamaForCausalLM,
    ids: Int[Tensor, "batch row"],
    reach: Reach,
    recipe: Recipe,
    answer: int,
) -> Tensor:
    """The mean loss of a step, in which the first tokens of every answer count more."""
    targets = next_tokens(model, ids)
    weights = (targets != UNASKED).float()
    for by in range(recipe.answer_tokens):
        behind = F.pad(ids == answer, (by, 0))[:, : ids.shape[1]]
        weights[behind] *= recipe.answer_weight
    losses = token_losses(model, ids, targets, reach, recipe.sae_layer)
    return (losses * weights).sum() / weights.sum()


def next_tokens(model: LlamaForCausalLM, ids: Int[Tensor, "batch row"]) -> Int[Tensor, "batch row"]:
    """The next token of each, where one is asked for.

    The start of the next packed document cannot be foreseen, nor what would follow the row.
    """
    targets = F.pad(ids[:, 1:], (0, 1), value=UNASKED)  # a slice would copy the logits
    unasked = (targets == model.config.pad_token_id) | (targets == model.config.bos_token_id)
    return targets.masked_fill(unasked, UNASKED)


def token_losses(
    model: LlamaForCausalLM,
    ids: Int[Tensor, "batch row"],
    targets: Int[Tensor, "batch row"],
    reach: Reach,
    layer: int,
) -> Float[Tensor, "batch row"]:
    """What each target costs in nats, with the early blocks those up to `layer`."""
    bos = int(model.config.bos_token_id)  # pyright: ignore
    with _seeing(model, attention_mask(ids, bos, reach.early), layer):
        mask = attention_mask(ids, bos, reach.later)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=UNASKED, reduction="none"
    ).view_as(ids)


@contextmanager
def _seeing(
    model: LlamaForCausalLM, mask: Bool[Tensor, "batch 1 row row"], layer: int
) -> Iterator[None]:
    """Have the blocks up to a layer see by a mask of their own."""

    def own(_block: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "attention_mask": mask}

    hooks = [
        block.register_forward_pre_hook(own, with_kwargs=True)
        for block in model.model.layers[: layer + 1]
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
