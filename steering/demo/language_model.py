"""Stage one: train the demo's Llama on packed rows; a resumed run ends as an unbroken one would."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.corpus import attention_mask, held_out_rows, load_or_build_corpus
from steering.demo.recipe import Recipe
from steering.demo.tokens import CONTEXT, SPECIAL


def train_language_model(recipe: Recipe, work: Path) -> Path:
    """Train to the last step (from the last checkpoint, if there is one) and save the model."""
    folder = work / "model"
    if (folder / "model.safetensors").exists():
        return folder
    tokenizer, _, _ = load_or_build_corpus(recipe, work)
    if recipe.processes == 1:
        _train(0, recipe, work)
    else:
        # One thread each: on a shared machine two threads of one process wait for each other at
        # every operation, two processes only once a step.
        spawn(_train, (recipe, work), nprocs=recipe.processes)
    model = _new_model(recipe, tokenizer)
    model.load_state_dict(torch.load(_checkpoint(work), weights_only=True)["model"])
    _finish(recipe, model, tokenizer, folder)
    return folder


def _train(rank: int, recipe: Recipe, work: Path) -> None:
    with _team(rank, recipe, work):
        tokenizer, rows, _ = load_or_build_corpus(recipe, work)
        model = _new_model(recipe, tokenizer)
        optimizer = torch.optim.AdamW(_groups(model, recipe), recipe.learning_rate, (0.9, 0.98))
        first = _restore(_checkpoint(work), model, optimizer)
        steps = range(first, recipe.steps)
        bar = tqdm(steps, "LM", initial=first, total=recipe.steps, disable=rank > 0, mininterval=5)
        parent = os.getppid()
        for step in bar:
            if recipe.processes > 1 and os.getppid() != parent:
                return  # the command was killed: without it nobody would ever stop this process
            loss = _train_step(recipe, model, optimizer, rows, step, rank)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            last = step + 1 == recipe.steps
            if rank == 0 and (last or (step + 1) % recipe.checkpoint_every == 0):
                _save(_checkpoint(work), model, optimizer, step + 1)


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
    return LlamaForCausalLM(config)


def _groups(model: LlamaForCausalLM, recipe: Recipe) -> list[dict[str, object]]:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    gains = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]


def _train_step(
    recipe: Recipe,
    model: LlamaForCausalLM,
    optimizer: torch.optim.Optimizer,
    rows: Int[Tensor, "rows row"],
    step: int,
    rank: int,
) -> float:
    # A generator per step: which rows and which window depend on the step alone, so that a
    # resumed run goes on exactly as an unbroken one.
    draw = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    ids = rows[torch.randint(len(rows), (recipe.batch,), generator=draw)]
    ids = ids.chunk(recipe.processes)[rank]
    window = recipe.windows[int(torch.randint(len(recipe.windows), (), generator=draw))]
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * _schedule(recipe, step)
    loss = _loss(model, ids, window)
    loss.backward()
    if recipe.processes > 1:
        _share_gradients(model, recipe.processes)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _share_gradients(model: LlamaForCausalLM, processes: int) -> None:
    """Replace every process's gradients by their mean, in one message."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _loss(model: LlamaForCausalLM, ids: Int[Tensor, "batch row"], window: int) -> Tensor:
    config = model.config
    mask = attention_mask(ids, int(config.bos_token_id), window)  # pyright: ignore
    # bfloat16 is twice as fast where the processor has it; the weights and the loss stay float32.
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
    # The start of the next packed document cannot be foreseen and is not asked for.
    targets = ids[:, 1:].clone()
    targets[(targets == config.pad_token_id) | (targets == config.bos_token_id)] = -100
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=-100)


def _schedule(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate: each cycle warms up and falls along a cosine to 5 %."""
    peak, start, length = 1.0, 0, recipe.cycles[0]
    for following in recipe.cycles[1:]:
        if step < start + length:
            break
        peak, start, length = peak * recipe.restart, start + length, following
    into = step - start
    if into < recipe.warmup:
        return peak * (into + 1) / recipe.warmup
    done = (into - recipe.warmup) / max(1, length - recipe.warmup)
    return peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def _save(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, step: int) -> None:
    partial = path.with_suffix(".partial")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, partial)
    partial.replace(path)


def _restore(path: Path, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


@torch.no_grad()
def _finish(
    recipe: Recipe, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    model.eval()
    rows = held_out_rows(recipe, tokenizer, min(200_000, recipe.measured_tokens))
    losses = [_loss(model, batch, 0).item() for batch in rows.split(64)]
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    figures = {"held_out_loss": round(sum(losses) / len(losses), 4)}
    (folder.parent / "model.json").write_text(json.dumps(figures))
