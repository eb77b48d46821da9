"""What each feature does to the next token's logit, to first order, and what it reads meanwhile.

Activation times the gradient along the feature's direction, one backward pass for all features.
This module knows tensors of a text and no rank.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from steering.hook_points import HookPoint
from steering.hooks import stream_gradient
from steering.models import LanguageModel
from steering.sae import Sae

_CELLS = 2**24


def toward_next(
    model: LanguageModel, sae: Sae, ids: Sequence[int], wanted: int | None
) -> tuple[str, Float[Tensor, "token d_in"], Float[Tensor, "token d_in"]]:
    """The next token meant, spelled; the stream; and the gradient of that token's logit there.

    The logit is over the mean of all; the likeliest token is meant where none is wanted.
    """
    chosen: list[int] = []

    def measure(logits: Float[Tensor, "pos vocab"]) -> Float[Tensor, ""]:
        last = logits[-1] - logits[-1].mean()
        chosen.append(int(last.argmax()) if wanted is None else wanted)
        return last[chosen[-1]]

    point = HookPoint.parse(sae.hook_name)
    with model.lock:
        stream, gradient = stream_gradient(model, ids, point, measure)
    return model.pieces([chosen[-1]])[0], stream, gradient


def gathered(
    sae: Sae, stream: Float[Tensor, "token d_in"], gradient: Float[Tensor, "token d_in"]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each feature: its peak, on which token, its sum, and its attribution."""
    _, scale = sae.scaling.apply(stream)
    # What a feature writes is carried back to the stream by its token's scale.
    slope = gradient if scale is None else gradient * scale
    # What goes along a row is divided by its length, and the decoder is not copied at unit length.
    rows, lengths = sae.inner.W_dec.detach(), sae.decoder_norms.clamp(min=1e-30)
    peaks, places = torch.full((sae.d_sae,), -torch.inf), torch.zeros(sae.d_sae, dtype=torch.long)
    sums, effects = torch.zeros(sae.d_sae), torch.zeros(sae.d_sae)
    start = 0
    for acts in encoded(sae, stream):
        high, at = acts.max(0)
        places = torch.where(high > peaks, at + start, places)
        peaks = torch.maximum(peaks, high)
        sums += acts.sum(0)
        effects += (acts * (slope[start : start + len(acts)] @ rows.T) / lengths).sum(0)
        start += len(acts)
    return peaks, places, sums, effects


def encoded(sae: Sae, stream: Float[Tensor, "token d_in"]) -> Iterator[Float[Tensor, "part d_sae"]]:
    """Activations in parts that fit into memory."""
    for part in stream.split(max(1, _CELLS // sae.d_sae)):
        yield sae.encode(part)
