"""The arithmetic of edits, as pure functions of tensors: it knows no model, no SAE and no text.

The decoder is linear, so "encode, replace f by g(f), decode, add the SAE error back" is exactly

    x' = x + (g(f) - f) d

All six edits are one formula for the coefficient g(f) - f, so that a batch mixes them freely and a
slider changes numbers, not code:

    g(f) - f = clip(gain * f + bias, low - f, high - f)

              gain          bias   low    high
    add       0             c      -inf   inf
    clamp     -1            c      -inf   inf      Templeton et al. 2024
    floor     0             0      c      inf
    cap       0             0      -inf   c
    scale     strength - 1  0      -inf   inf
    ablate    -1            0      -inf   inf
    none      0             0      -inf   inf      exactly 0 for every f

Axes: `row` of the batch, `pos` within this forward pass, `slot` for the edits at one hook point.
"""

import math
from typing import NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ALWAYS = torch.iinfo(torch.int64).max
"""A `stop` that no position reaches."""


class EditTensors(NamedTuple):
    """The coefficients of the formula above, for each row and slot."""

    gain: Float[Tensor, "row slot"]
    bias: Float[Tensor, "row slot"]
    low: Float[Tensor, "row slot"] | None
    """None, like `high`, where no slot has a bound: the common case, and a third of the work."""
    high: Float[Tensor, "row slot"] | None


class MaskTensors(NamedTuple):
    """Which positions each slot of each row may touch."""

    start: Int[Tensor, "row slot"]
    stop: Int[Tensor, "row slot"]
    prompt: Bool[Tensor, "row slot"]
    generated: Bool[Tensor, "row slot"]
    first: Bool[Tensor, "row slot"]
    special: Bool[Tensor, "row slot"]


class ScheduleTensors(NamedTuple):
    """The factor on each slot's delta over time; the fields name the kinds, one true per slot."""

    tokens: Int[Tensor, "row slot"]
    ramp: Bool[Tensor, "row slot"]
    decay: Bool[Tensor, "row slot"]
    stop_after: Bool[Tensor, "row slot"]
    every_n: Bool[Tensor, "row slot"]


class GateTensors(NamedTuple):
    """Which slots wait for another feature: `source` indexes the features watched, -1 for none."""

    source: Int[Tensor, "row slot"]
    above: Float[Tensor, "row slot"]
    on_prompt: Bool[Tensor, "row slot"]
    tokens: Int[Tensor, "row slot"]


class Chunk(NamedTuple):
    """Which tokens one forward pass carries, in absolute positions of each row.

    The batch is padded on the left: column `offset + i` of a row is its position
    `offset + i - pads[row]`, and negative positions are padding.
    """

    offset: int
    pads: Int[Tensor, " row"]
    prompt_length: Int[Tensor, " row"]
    special: Bool[Tensor, "row pos"]
    written: bool = False
    """True where every token of the pass was written by the model, and none is special."""

    @property
    def positions(self) -> Int[Tensor, "row pos"]:
        """Absolute positions; negative for padding."""
        columns = torch.arange(self.special.shape[1], device=self.pads.device) + self.offset
        return columns - self.pads[:, None]

    def to(self, device: torch.device) -> Self:
        """The same chunk on another device."""
        if self.pads.device == device:
            return self
        return self._replace(
            pads=self.pads.to(device),
            prompt_length=self.prompt_length.to(device),
            special=self.special.to(device),
        )


def coefficients(
    acts: Float[Tensor, "row pos slot"], edit: EditTensors
) -> Float[Tensor, "row pos slot"]:
    """g(f) - f for every row, position and slot: see the table in the module docstring."""
    change = torch.addcmul(edit.bias[:, None], acts, edit.gain[:, None])
    if edit.low is None or edit.high is None:
        return change
    return torch.clamp(change, edit.low[:, None] - acts, edit.high[:, None] - acts)


def position_mask(chunk: Chunk, mask: MaskTensors) -> Bool[Tensor, "row pos slot"]:
    """True where a slot may edit: absolute positions, so cached and uncached passes agree."""
    at = chunk.positions[:, :, None]
    since = at - (chunk.prompt_length[:, None, None] - 1)
    start, stop, prompt, generated, first, special = (tensor[:, None, :] for tensor in mask)
    after, before = since >= 0, since <= 0
    ordinary = ~chunk.special[:, :, None] | special | ((since == 0) & generated)
    kind = (after & generated) | (before & prompt)
    return kind & ordinary & (at >= start) & (at < stop) & ((at > 0) | (first & (at == 0)))


def schedule_factor(chunk: Chunk, schedule: ScheduleTensors) -> Float[Tensor, "row pos slot"]:
    """The factor on each delta; t counts from the last prompt token, before it the factor is 1."""
    since = chunk.positions - (chunk.prompt_length[:, None] - 1)
    t = since.clamp(min=0)[:, :, None]
    tokens, ramp, decay, stop_after, every_n = (tensor[:, None, :] for tensor in schedule)
    factor = torch.ones(t.shape[0], t.shape[1], tokens.shape[2], device=t.device)
    factor = torch.where(ramp, ((t + 1) / tokens).clamp(max=1), factor)
    factor = torch.where(decay, torch.exp2(-t / tokens), factor)
    factor = torch.where(stop_after, (t < tokens).float(), factor)
    factor = torch.where(every_n, (t % tokens == 0).float(), factor)
    return torch.where((since >= 0)[:, :, None], factor, 1.0)


def countable(chunk: Chunk) -> Bool[Tensor, "row pos"]:
    """Positions whose activations count for conditions: no padding, no position 0, no special."""
    at = chunk.positions
    return (at > 0) & (~chunk.special | (at == chunk.prompt_length[:, None] - 1))


def gate_open(
    history: Float[Tensor, "row source column"], chunk: Chunk, gate: GateTensors
) -> Bool[Tensor, "row pos slot"]:
    """True where a slot's condition holds, looking at this and earlier positions only.

    Args:
        history: What each watched feature read at every column up to the end of this chunk, -inf
            where it does not count.
        chunk: The tokens of this pass.
        gate: The conditions.
    """
    rows, width = chunk.special.shape
    opened = torch.ones(rows, width, gate.source.shape[1], dtype=torch.bool, device=history.device)
    since = chunk.positions - (chunk.prompt_length[:, None] - 1)
    for row, slot in (gate.source >= 0).nonzero().tolist():
        past = history[row, gate.source[row, slot]]
        if gate.on_prompt[row, slot]:
            end = int(chunk.pads[row] + chunk.prompt_length[row])
            peak = past[:end].amax().expand(width)
            opened[row, :, slot] = (peak > gate.above[row, slot]) & (since[row] >= 0)
        else:
            peak = _recent_peak(past, width, int(gate.tokens[row, slot]))
            opened[row, :, slot] = peak > gate.above[row, slot]
    return opened


def _recent_peak(past: Float[Tensor, " column"], width: int, window: int) -> Float[Tensor, " pos"]:
    """The maximum over the last `window` columns, for each of the last `width` columns."""
    window = min(window, past.shape[0])
    padded = torch.nn.functional.pad(past, (window - 1, 0), value=-math.inf)
    return padded.unfold(0, window, 1).amax(-1)[-width:]
