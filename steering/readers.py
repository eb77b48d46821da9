"""Reads a few features off the stream without the rest of their SAE.

All in float32 and in one convention: activation = f * ||d||, after the activation function. Where
an SAE rescales its input at run time, the readers also return each token's scale, which carries a
decoded vector back to the stream. This module knows tensors only.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor

Normalisation = Literal["none", "layer_norm", "constant_norm_rescale"]


@dataclass(frozen=True)
class InputScaling:
    """What the SAE does to the stream before it encodes, token by token."""

    centre: bool
    normalisation: Normalisation
    d_in: int

    def apply(
        self, x: Float[Tensor, "*batch d_in"]
    ) -> tuple[Float[Tensor, "*batch d_in"], Float[Tensor, "*batch 1"] | None]:
        """The encoder's input, and the factor that carries a decoded vector back to the stream."""
        if self.centre:
            x = x - x.mean(dim=-1, keepdim=True)
        if self.normalisation == "layer_norm":
            x = x - x.mean(dim=-1, keepdim=True)
            std = x.std(dim=-1, keepdim=True)
            return x / (std + 1e-5), std
        if self.normalisation == "constant_norm_rescale":
            scale = x.norm(dim=-1, keepdim=True) / math.sqrt(self.d_in)
            return x / scale, scale
        return x, None


@dataclass(frozen=True)
class ColumnReader:
    """Features whose activation depends on their own encoder column alone.

    With p = x W, the activation is p * slope + shift where p > gate, else 0: standard, JumpReLU and
    thresholded BatchTopK, gated, each with a gate that lies where its own gate and its ReLU both
    open. Holds copies, so that the SAE's matrices need not stay in memory or on the accelerator.
    """

    scaling: InputScaling
    W: Float[Tensor, "d_in feature"]
    slope: Float[Tensor, " feature"]
    shift: Float[Tensor, " feature"]
    gate: Float[Tensor, " feature"]

    def __call__(
        self, x: Float[Tensor, "*batch d_in"]
    ) -> tuple[Float[Tensor, "*batch feature"], Float[Tensor, "*batch 1"] | None]:
        """Activations of the chosen features, and the scale of each token (None for 1)."""
        x, scale = self.scaling.apply(x)
        p = x @ self.W
        return torch.addcmul(self.shift, p, self.slope) * (p > self.gate), scale

    def to(self, device: torch.device) -> Self:
        """The same reader on another device."""
        return replace(
            self,
            W=self.W.to(device),
            slope=self.slope.to(device),
            shift=self.shift.to(device),
            gate=self.gate.to(device),
        )


@dataclass(frozen=True)
class TopKReader:
    """Features of a TopK SAE: a feature outside the top k is 0, so every column must be read."""

    scaling: InputScaling
    W_enc: Float[Tensor, "d_in d_sae"]
    bias: Float[Tensor, " d_sae"]
    rank_by: Float[Tensor, " d_sae"] | None
    norms: Float[Tensor, " feature"]
    features: tuple[int, ...]
    k: int

    def __call__(
        self, x: Float[Tensor, "*batch d_in"]
    ) -> tuple[Float[Tensor, "*batch feature"], Float[Tensor, "*batch 1"] | None]:
        """Activations of the chosen features, and the scale of each token (None for 1)."""
        x, scale = self.scaling.apply(x)
        pre_acts = x @ self.W_enc + self.bias
        if self.rank_by is not None:
            pre_acts = pre_acts * self.rank_by
        values, indices = pre_acts.topk(self.k, dim=-1)
        acts = torch.zeros_like(pre_acts).scatter_(-1, indices, values.relu())
        return acts[..., list(self.features)] * self.norms, scale

    def to(self, device: torch.device) -> Self:
        """The same reader on another device."""
        return replace(
            self,
            W_enc=self.W_enc.to(device),
            bias=self.bias.to(device),
            rank_by=None if self.rank_by is None else self.rank_by.to(device),
            norms=self.norms.to(device),
        )


@dataclass(frozen=True)
class ZeroReader:
    """One column of zeros, for edits that need no activation: plain additions."""

    def __call__(
        self, x: Float[Tensor, "*batch d_in"]
    ) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"] | None]:
        """Zeros, and no scale."""
        return x.new_zeros(*x.shape[:-1], 1), None

    def to(self, device: torch.device) -> Self:  # noqa: ARG002
        """Itself: it holds no tensor."""
        return self


Reader = ColumnReader | TopKReader | ZeroReader
