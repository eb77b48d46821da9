"""Vectors added behind a layer of the demo's model while it is measured, one for each row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import LlamaForCausalLM


@contextmanager
def added(
    model: LlamaForCausalLM, layer: int, deltas: Float[Tensor, "rows width"]
) -> Iterator[None]:
    """Add each row's vector to every position but the first, while the block lasts."""

    def add(_module: object, _inputs: object, output: Any) -> Any:
        resid = output[0] if isinstance(output, tuple) else output
        resid = torch.cat([resid[:, :1], resid[:, 1:] + deltas[:, None]], dim=1)
        return (resid, *output[1:]) if isinstance(output, tuple) else resid

    handle = model.model.layers[layer].register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
