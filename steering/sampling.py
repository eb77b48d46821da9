"""Which token comes next: penalties, truncation, and noise that a row owns.

Pure: noise is a function of (seed, step) alone, so rows of one comparison share it and differ only
where steering made them differ. Temperature and truncation are transformers' own.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from steering.interventions import Sampling


class Draw(NamedTuple):
    """What the choice of one row's next token depends on, beside its logits."""

    seed: int
    step: int
    seen: tuple[int, ...]
    """Every token of the row so far, prompt included."""


def choose(
    logits: Float[Tensor, "row vocab"], draws: Sequence[Draw], sampling: Sampling
) -> Int[Tensor, " row"]:
    """Pick each row's next token."""
    scores = penalised(logits, draws, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return scores.argmax(-1)
    for warp in _warpers(sampling):
        scores = warp(None, scores)
    keys = [(draw.seed, draw.step) for draw in draws]
    noise = {key: gumbel(*key, scores.shape[-1]).to(scores.device) for key in set(keys)}
    return (scores + torch.stack([noise[key] for key in keys])).argmax(-1)


def _warpers(sampling: Sampling) -> list[Any]:
    warpers: list[Any] = [TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k is not None:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None and sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    return warpers


def gumbel(seed: int, step: int, size: int) -> Float[Tensor, " vocab"]:
    """Gumbel noise that depends on (seed, step) alone, the same on every device.

    The argmax of scores + noise is a sample from softmax(scores) (Gumbel-max).
    """
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
    return -torch.empty(size).exponential_(generator=generator).log()


def penalised(
    logits: Float[Tensor, "row vocab"], draws: Sequence[Draw], penalty: float
) -> Float[Tensor, "row vocab"]:
    """Divide positive and multiply negative logits of tokens in the row (arXiv:1909.05858)."""
    if penalty == 1.0:
        return logits
    seen = torch.zeros_like(logits, dtype=torch.bool)
    for i, draw in enumerate(draws):
        seen[i, list(draw.seen)] = True
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
