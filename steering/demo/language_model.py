"""Stage one: train the demo's Llama on packed rows; a resumed run ends as an unbroken one would."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from jaxtyping import Int
from torch import Tensor
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.corpus import held_out_rows, load_or_build_corpus
from steering.demo.optimizers import new_optimizers, schedule
from steering.demo.precision import is_quick_in_bfloat16, muon_in_float32
from steering.demo.recipe import Recipe
from steering.demo.tokens import CONTEXT, SPECIAL
from steering.demo.training_step import (
    UNASKED,
    Reach,
    answer_token,
    next_tokens,
    token_losses,
    train_step,
)

_LOSS_TOKENS = 50_000  # held out, to read the loss on
_LOG = "model.log.jsonl"
_LOG_EVERY = 20  # steps
_TOLD_EVERY = 10  # lines of the log, in the manifest
_ALLOCATOR = {  # glibc's own words; others ignore them
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}


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
        optimizers = new_optimizers(model, recipe)
        answer = answer_token(tokenizer)
        first = _restore(_checkpoint(work), model, optimizers)
        steps = range(first, recipe.steps)
        bar = tqdm(steps, "LM", initial=first, total=recipe.steps, disable=rank > 0, mininterval=5)
        parent = os.getppid()
        for step in bar:
            if recipe.processes > 1 and os.getppid() != parent:
                return  # the command was killed: without it nobody would ever stop this process
            loss = train_step(recipe, model, optimizers, rows, answer, step, rank)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if rank == 0 and step % _LOG_EVERY == 0:
                _log(work, step=step, loss=round(loss, 4), rate=round(schedule(recipe, step), 4))
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
        targets = next_tokens(model, batch)
        total += token_losses(model, batch, targets, Reach(0, 0), 0).sum().item()
        asked += int((targets != UNASKED).sum())
    return round(total / asked, 4)
