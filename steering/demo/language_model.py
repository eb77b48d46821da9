"""Stage one: train the demo's Llama on packed rows; a resumed run ends as an unbroken one would."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.corpus import attention_mask, held_out_rows, load_or_build_corpus
from steering.demo.precision import is_quick_in_bfloat16, muon_in_float32
from steering.demo.recipe import Recipe
from steering.demo.tokens import CONTEXT, SPECIAL

_LOSS_TOKENS = 50_000  # held out, to read the loss on
_LOG = "model.log.jsonl"
_LOG_EVERY = 20  # steps
_TOLD_EVERY = 10  # lines of the log, in the manifest
_UNASKED = -100  # a target that costs nothing, in torch's words
_ANSWER = "Assistant:\n"
_WRITING = ("o_proj.weight", "down_proj.weight")
_ALLOCATOR = {  # glibc's own words; others ignore them
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}


@dataclass(frozen=True)
class Reach:
    """How far back blocks see in one step, in tokens (0: to the document's start)."""

    early: int
    """Of the blocks up to the first SAE."""
    later: int
    """Of those behind it."""


def train_language_model(recipe: Recipe, work: Path, device: str = "cpu") -> Path:
    """Train to the last step (from the last checkpoint, if there is one) and save the model.

    Args:
        recipe: On a device other than the CPU its processes become one.
        work: Folder of checkpoints.
        device: In torch's words, such as "cuda".
    """
    folder = work / "model"
    if (folder / "model.safetensors").exists():
        return folder
    tokenizer, _, _ = load_or_build_corpus(recipe, work)
    if device != "cpu":
        recipe = replace(recipe, processes=1)
    if recipe.processes == 1:
        _train(0, recipe, work, device)
    else:
        # One thread each: on a shared machine two threads of one process wait for each other at
        # every operation, two processes only once a step.
        # Their memory stays theirs from step to step: fetched from the kernel anew for each large
        # tensor, it costs a seventh of the time.
        for name, size in _ALLOCATOR.items():
            os.environ.setdefault(name, size)
        spawn(_train, (recipe, work, device), nprocs=recipe.processes)
    model = _new_model(recipe, tokenizer)
    saved = torch.load(_checkpoint(work), weights_only=True, map_location="cpu")
    model.load_state_dict(saved["model"])
    _finish(recipe, model, tokenizer, folder)
    return folder


def _train(rank: int, recipe: Recipe, work: Path, device: str) -> None:
    slow = not is_quick_in_bfloat16(torch.device(device))
    with _team(rank, recipe, work), muon_in_float32(slow):
        tokenizer, rows, _ = load_or_build_corpus(recipe, work)
        rows = rows.to(device)
        model = _new_model(recipe, tokenizer)
        torch.nn.Module.to(model, device)  # the library's own `to` hides its type behind a wrapper
        optimizers = _optimizers(model, recipe)
        answer = _answer_token(tokenizer)
        first = _restore(_checkpoint(work), model, optimizers)
        steps = range(first, recipe.steps)
        bar = tqdm(steps, "LM", initial=first, total=recipe.steps, disable=rank > 0, mininterval=5)
        parent = os.getppid()
        for step in bar:
            if recipe.processes > 1 and os.getppid() != parent:
                return  # the command was killed: without it nobody would ever stop this process
            loss = _train_step(recipe, model, optimizers, rows, answer, step, rank)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if rank == 0 and step % _LOG_EVERY == 0:
                _log(work, step=step, loss=round(loss, 4), rate=round(_schedule(recipe, step), 4))
            last = step + 1 == recipe.steps
            if last or (step + 1) % recipe.checkpoint_every == 0:
                _save(_checkpoint(work), model, optimizers, step + 1, rank)


@contextmanager
def _team(rank: int, recipe: Recipe, work: Path) -> Iterator[None]:
    """Join the processes that share each batch; they meet through a file, not the network."""
    # One thread: two of one process wait for each other at every operation, and differ in the
    # last bit from run to run.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if recipe.processes == 1:
        try:
            yield
        finally:
            torch.set_num_threads(threads)
        return
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meeting = work / f"meeting.{os.getppid()}"
    dist.init_process_group(
        "gloo", f"file://{meeting.resolve()}", rank=rank, world_size=recipe.processes
    )
    try:
        yield
    finally:
        dist.destroy_process_group()
        meeting.unlink(missing_ok=True)


def _log(work: Path, **line: float | int) -> None:
    """Add a line to what is told of the training; a resumed one says its last steps again."""
    with (work / _LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _checkpoint(work: Path) -> Path:
    return work / "model.checkpoint.pt"


def _new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=SPECIAL.index("<s>"),
        eos_token_id=SPECIAL.index("</s>"),
        pad_token_id=SPECIAL.index("<pad>"),
    )
    model = LlamaForCausalLM(config)
    # Tied to the output layer, so the last gain takes back what makes the embedding larger.
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=recipe.embedding_std)
    torch.nn.init.constant_(
        model.model.norm.weight, config.initializer_range / recipe.embedding_std
    )
    return model


def _optimizers(model: LlamaForCausalLM, recipe: Recipe) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices between layers, AdamW for the embedding and the gains.

    Muon (Jordan et al. 2024), scaled to AdamW's step as in Liu et al. 2025 (arXiv:2502.16982),
    has the held-out loss at 2.94 where AdamW has it at 3.80, after 150 steps of 2,048 tokens.
    """
    embedding = model.get_input_embeddings().weight
    matrices = {n: p for n, p in model.named_parameters() if p.ndim == 2 and p is not embedding}
    writing = [p for name, p in matrices.items() if name.endswith(_WRITING)]
    reading = [p for name, p in matrices.items() if not name.endswith(_WRITING)]
    gains = [p for p in model.parameters() if p.ndim < 2]
    muon = [
        {"params": reading, "lr": recipe.learning_rate},
        {"params": writing, "lr": recipe.learning_rate * recipe.writing_share},
    ]
    rest = [
        {"params": [embedding], "lr": recipe.embedding_rate, "weight_decay": 0.0},
        {"params": gains, "lr": recipe.gain_rate, "weight_decay": 0.0},
    ]
    options = {"weight_decay": recipe.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = (
        torch.optim.Muon(muon, **options)
        if recipe.processes == 1
        # A fifth of a step: each process moves its share of the matrices and sends them round.
        else ZeroRedundancyOptimizer(muon, torch.optim.Muon, **options),
        torch.optim.AdamW(rest, betas=(0.9, 0.98)),
    )
    for group in _groups(optimizers):
        group["peak"] = group["lr"]
    return optimizers


def _groups(optimizers: tuple[torch.optim.Optimizer, ...]) -> Iterator[dict[str, Any]]:
    """The parameters of one learning rate each; `peak` is the highest."""
    return (group for optimizer in optimizers for group in optimizer.param_groups)


def _train_step(
    recipe: Recipe,
    model: LlamaForCausalLM,
    optimizers: tuple[torch.optim.Optimizer, ...],
    rows: Int[Tensor, "rows row"],
    answer: int,
    step: int,
    rank: int,
) -> float:
    # A generator per step: which rows and which window depend on the step alone, so that a
    # resumed run goes on exactly as an unbroken one.
    draw = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    ids = rows[torch.randint(len(rows), (recipe.batch,), generator=draw).to(rows.device)]
    ids = ids.chunk(recipe.processes)[rank]
    reach = _reach(recipe, step, draw)
    _hold(model, recipe, step)
    for group in _groups(optimizers):
        group["lr"] = group["peak"] * _schedule(recipe, step)
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


def _answer_token(tokenizer: PreTrainedTokenizerFast) -> int:
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
    targets = _targets(model, ids)
    weights = (targets != _UNASKED).float()
    for by in range(recipe.answer_tokens):
        behind = F.pad(ids == answer, (by, 0))[:, : ids.shape[1]]
        weights[behind] *= recipe.answer_weight
    losses = _losses(model, ids, targets, reach, recipe.sae_layer)
    return (losses * weights).sum() / weights.sum()


def _targets(model: LlamaForCausalLM, ids: Int[Tensor, "batch row"]) -> Int[Tensor, "batch row"]:
    """The next token of each, where one is asked for.

    The start of the next packed document cannot be foreseen, nor what would follow the row.
    """
    targets = F.pad(ids[:, 1:], (0, 1), value=_UNASKED)  # a slice would copy the logits
    unasked = (targets == model.config.pad_token_id) | (targets == model.config.bos_token_id)
    return targets.masked_fill(unasked, _UNASKED)


def _losses(
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
        logits.flatten(0, 1), targets.flatten(), ignore_index=_UNASKED, reduction="none"
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


def _schedule(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate: each cycle warms up and falls along a cosine to 5 %."""
    peaks = [recipe.restart**at for at in range(len(recipe.cycles))] + [recipe.last_rate]
    lengths = [*recipe.cycles, recipe.last_steps]
    peak, start, length = peaks[0], 0, lengths[0]
    for following, steps in zip(peaks[1:], lengths[1:], strict=True):
        if step < start + length:
            break
        peak, start, length = following, start + length, steps
    into, warmup = step - start, min(recipe.warmup, length // 3)
    if into < warmup:
        return peak * (into + 1) / warmup
    done = (into - warmup) / max(1, length - warmup)
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def _save(
    path: Path,
    model: LlamaForCausalLM,
    optimizers: tuple[torch.optim.Optimizer, ...],
    step: int,
    rank: int,
) -> None:
    for optimizer in optimizers:
        if isinstance(optimizer, ZeroRedundancyOptimizer):
            optimizer.consolidate_state_dict(to=0)
    if rank > 0:
        return
    partial = path.with_suffix(".partial")
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
    }
    torch.save(state, partial)
    partial.replace(path)


def _restore(
    path: Path, model: LlamaForCausalLM, optimizers: tuple[torch.optim.Optimizer, ...]
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location=model.device)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


@torch.no_grad()
def _finish(
    recipe: Recipe, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    model.eval()
    tokens = min(_LOSS_TOKENS, recipe.measured_tokens)
    unseen = held_out_rows(recipe, tokenizer, tokens)
    _, trained_on, _ = load_or_build_corpus(recipe, folder.parent)
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = map(json.loads, (folder.parent / _LOG).read_text("utf-8").splitlines())
    by_step = {line["step"]: line["loss"] for line in told}  # a resumed run says some again
    figures = {
        "held_out_loss": _open_loss(model, unseen),
        "training_loss": _open_loss(model, trained_on[: len(unseen)]),
        # Answers' beginnings count more in these, and blocks may see little.
        "training_losses": dict(list(by_step.items())[::_TOLD_EVERY]),
    }
    (folder.parent / "model.json").write_text(json.dumps(figures))


def _open_loss(model: LlamaForCausalLM, rows: Int[Tensor, "rows row"]) -> float:
    """Nats per token where every block sees all."""
    total, asked = 0.0, 0
    for batch in rows.split(64):
        targets = _targets(model, batch)
        total += _losses(model, batch, targets, Reach(0, 0), 0).sum().item()
        asked += int((targets != _UNASKED).sum())
    return round(total / asked, 4)
