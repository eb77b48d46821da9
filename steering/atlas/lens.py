"""What a direction says in words: the tokens that it promotes and demotes.

The logit lens of a unit direction d: head(norm(d)) - head(norm(0)) with the model's own final norm
and output matrix. The second term takes out what biases would say of any direction at all; for a
model without biases it is 0. Soft caps on logits are left out: they keep the order.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from steering.hook_points import HookPoint
from steering.models import LanguageModel
from steering.sae import Sae

SHOWN = 20
"""Tokens kept at each end."""

_CELLS = 2**24
"""Logits in memory at once."""


class Ends(NamedTuple):
    """The tokens at both ends of the lens, for some features; the strongest first."""

    promoted: Int[ndarray, "feature token"]
    gains: Float[ndarray, "feature token"]
    demoted: Int[ndarray, "feature token"]
    losses: Float[ndarray, "feature token"]


@torch.no_grad()
def lens(
    model: LanguageModel, point: HookPoint, directions: Float[Tensor, "feature d_in"]
) -> Float[Tensor, "feature vocab"]:
    """The logit lens of unit directions at a hook point, in float32 on the CPU."""
    # A hook of a decode that runs meanwhile would steer what the model's own modules make of these.
    with model.lock:
        return _lens(model, point, directions)


def _lens(
    model: LanguageModel, point: HookPoint, directions: Float[Tensor, "feature d_in"]
) -> Float[Tensor, "feature vocab"]:
    written = _in_the_stream(model, point, directions)
    norm = model.hf.get_submodule(model.bridge.adapter.translate_transformer_lens_path("ln_final"))
    head: Any = model.hf.get_output_embeddings()
    weight = next(norm.parameters(), head.weight)
    both = torch.cat([written, written.new_zeros(1, written.shape[1])]).to(weight)
    logits = head(norm(both).to(head.weight)).float().cpu()
    return logits[:-1] - logits[-1]


def _in_the_stream(
    model: LanguageModel, point: HookPoint, directions: Float[Tensor, "feature d_in"]
) -> Float[Tensor, "feature d_model"]:
    """What a direction adds to the residual stream: heads write through their output matrix."""
    if point.kind != "z":
        return directions
    module = model.site(point).module
    inside = torch.cat([directions, directions.new_zeros(1, directions.shape[1])])
    out = module(inside.to(next(module.parameters()))).float().cpu()
    return out[:-1] - out[-1]


def lens_ends(model: LanguageModel, sae: Sae) -> Iterator[tuple[int, Ends]]:
    """Both ends of the lens for every feature in parts, each with the index of its first.

    A feature whose decoder row has length 0 promotes nothing: its gains are 0.
    """
    point = HookPoint.parse(sae.hook_name)
    rows = sae.inner.W_dec.detach()
    part = max(1, _CELLS // model.hf.config.get_text_config().vocab_size)
    for start in range(0, sae.d_sae, part):
        own = rows[start : start + part]
        logits = lens(model, point, own / own.norm(dim=-1, keepdim=True).clamp(min=1e-30))
        # Some models pad their vocabulary with rows that no token has.
        yield start, ends(logits[:, : len(model.tokenizer)])


def ends(logits: Float[Tensor, "feature vocab"]) -> Ends:
    """The tokens with the highest and with the lowest logits."""
    count = min(SHOWN, logits.shape[1])
    high, low = logits.topk(count), logits.topk(count, largest=False)
    return Ends(
        *(np.ascontiguousarray(part.numpy()) for part in (high[1], high[0], low[1], low[0]))
    )
