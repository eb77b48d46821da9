"""Which number format trains quicker on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import _muon


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether matrices multiply quicker in bfloat16.

    A processor with instructions for it is 2 to 3 times as quick (with matrix tiles, AMX, some ten
    times; each such processor has these as well), one without takes 2.4 times as long as in
    float32.
    """
    return device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()


@contextmanager
def muon_in_float32(wanted: bool = True) -> Iterator[None]:
    """Have Muon leave bfloat16, in which torch's writes its iteration.

    On a processor without instructions for it that is seven eighths of a training step.
    """
    torchs_own = _muon._zeropower_via_newtonschulz
    if wanted:
        _muon._zeropower_via_newtonschulz = _orthogonalized
    try:
        yield
    finally:
        _muon._zeropower_via_newtonschulz = torchs_own


def _orthogonalized(
    grad: Float[Tensor, "rows columns"],
    ns_coefficients: tuple[float, float, float],
    ns_steps: int,
    eps: float,
) -> Float[Tensor, "rows columns"]:
    """The Newton-Schulz iteration of Jordan et al. 2024, as in `torch.optim.Muon`."""
    a, b, c = ns_coefficients
    found = grad.T if grad.shape[0] > grad.shape[1] else grad
    found = found / found.norm().clamp(min=eps)
    for _ in range(ns_steps):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if grad.shape[0] > grad.shape[1] else found
