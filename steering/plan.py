"""A request as tensors: at each hook point, what every row does there.

Strengths, positions and schedules are per-row tensors, so another strength is another number and
not another code path. A row that does not use a slot holds the edit "none" there, whose coefficient
is exactly 0. A plan holds copies of the few encoder columns and decoder rows it needs, never views
of an SAE's matrices. `steering.planner` builds it and `steering.hooks` runs it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from steering.edits import (
    Chunk,
    EditTensors,
    GateTensors,
    MaskTensors,
    ScheduleTensors,
    coefficients,
    gate_open,
    position_mask,
    schedule_factor,
)
from steering.hook_points import HookPoint
from steering.readers import Reader


@dataclass(frozen=True)
class SitePlan:
    """What happens at one hook point."""

    point: HookPoint
    readers: tuple[Reader, ...]
    slot_source: Int[Tensor, " slot"] | None
    """Which column of what the readers return each slot edits; None for its own, in order."""
    directions: Float[Tensor, "slot d_in"]
    edit: EditTensors
    mask: MaskTensors
    schedule: ScheduleTensors | None
    gate: GateTensors | None
    watched: tuple[tuple[int, int], ...]
    """Pairs (index among the features read here, index among all watched features)."""
    everywhere: bool
    """True where every slot edits every ordinary token that the model writes."""

    def read(
        self, x: Float[Tensor, "row pos d_in"]
    ) -> tuple[Float[Tensor, "row pos source"], Float[Tensor, "row pos source"] | None]:
        """Activations of the features read here, and the scale of each where there is one."""
        if len(self.readers) == 1:
            acts, scale = self.readers[0](x)
            return acts, None if scale is None else scale.expand_as(acts)
        acts, scales = zip(*(reader(x) for reader in self.readers), strict=True)
        if all(scale is None for scale in scales):
            return torch.cat(acts, dim=-1), None
        parts = [
            torch.ones_like(act) if scale is None else scale.expand_as(act)
            for act, scale in zip(acts, scales, strict=True)
        ]
        return torch.cat(acts, dim=-1), torch.cat(parts, dim=-1)

    def allowed(
        self, chunk: Chunk, history: Float[Tensor, "row watched column"]
    ) -> Bool[Tensor, "row pos slot"] | None:
        """Where each slot may edit: its positions, schedule and condition; None for everywhere."""
        if self.everywhere and chunk.written:
            return None
        allowed = position_mask(chunk, self.mask)
        if self.schedule is not None:
            allowed = allowed & (schedule_factor(chunk, self.schedule) != 0)
        if self.gate is not None:
            allowed = allowed & gate_open(history, chunk, self.gate)
        return allowed

    def amounts(
        self,
        acts: Float[Tensor, "row pos source"],
        allowed: Bool[Tensor, "row pos slot"] | None,
        chunk: Chunk,
    ) -> Float[Tensor, "row pos slot"]:
        """factor * (g(f) - f) of every slot, in the SAE's activation units; 0 where not allowed."""
        amount = coefficients(self._by_slot(acts), self.edit)
        if self.schedule is not None:
            amount = amount * schedule_factor(chunk, self.schedule)
        return amount if allowed is None else torch.where(allowed, amount, 0.0)

    def delta(
        self,
        amounts: Float[Tensor, "row pos slot"],
        scales: Float[Tensor, "row pos source"] | None,
    ) -> Float[Tensor, "row pos d_in"]:
        """What is added to the stream: the sum over slots of amount * scale * d."""
        if scales is not None:
            amounts = amounts * self._by_slot(scales)
        return amounts @ self.directions

    def _by_slot(self, read: Float[Tensor, "row pos source"]) -> Float[Tensor, "row pos slot"]:
        return read if self.slot_source is None else read[..., self.slot_source]

    def to(self, device: torch.device) -> Self:
        """The same plan on another device."""
        return replace(
            self._with_rows(lambda tensor: tensor.to(device)),
            readers=tuple(reader.to(device) for reader in self.readers),
            slot_source=None if self.slot_source is None else self.slot_source.to(device),
            directions=self.directions.to(device),
        )

    def of_rows(self, rows: Sequence[int]) -> Self:
        """The plan of some rows, in the order given."""
        return self._with_rows(lambda tensor: tensor[torch.tensor(rows, device=tensor.device)])

    def _with_rows(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same plan with every tensor changed that has an entry for each row."""

        def changed(tensors: Iterable[Tensor | None]) -> list[Any]:
            return [None if tensor is None else change(tensor) for tensor in tensors]

        return replace(
            self,
            edit=EditTensors(*changed(self.edit)),
            mask=MaskTensors(*changed(self.mask)),
            schedule=self.schedule and ScheduleTensors(*changed(self.schedule)),
            gate=self.gate and GateTensors(*changed(self.gate)),
        )


@dataclass(frozen=True)
class SteeringPlan:
    """What happens at every hook point, in the order in which a forward pass reaches them.

    Attributes:
        n_rows: Rows of the batch.
        sites: One plan for each hook point in use.
        n_watched: How many features conditions watch.
        places: Where intervention j of row i went: (i, j) -> (site, slot).
    """

    n_rows: int
    sites: tuple[SitePlan, ...] = ()
    n_watched: int = 0
    places: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def of_rows(self, rows: Sequence[int]) -> Self:
        """The plan of some rows, in the order given."""
        number = {row: at for at, row in enumerate(rows)}
        return replace(
            self,
            n_rows=len(rows),
            sites=tuple(site.of_rows(rows) for site in self.sites),
            places={
                (number[row], j): place for (row, j), place in self.places.items() if row in number
            },
        )
