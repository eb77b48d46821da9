"""Builds a plan: resolved interventions of many rows into the tensors of `steering.plan`.

Rows share a slot where they differ in numbers only, so a sweep over strengths is one slot.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from steering.directions import load_direction, random_unit
from steering.edits import ALWAYS, EditTensors, GateTensors, MaskTensors, ScheduleTensors
from steering.errors import ConflictError, HookNameError
from steering.hook_points import HookPoint
from steering.interventions import (
    SETS_VALUE,
    Condition,
    FeatureControl,
    Positions,
    RandomControl,
    Resolved,
    Schedule,
)
from steering.plan import SitePlan, SteeringPlan
from steering.readers import ZeroReader
from steering.sae import Sae

Rows = Sequence[Sequence[Resolved]]
"""For each row of the batch, its interventions; an empty list is a baseline row."""

_Source = tuple[str, int]
"""An SAE alias and a feature that is read."""


@dataclass
class _Slot:
    """One column of a site's tensors while it is being put together."""

    source: _Source | None
    direction: Float[Tensor, " d_in"]
    rows: dict[int, tuple[int, Resolved]] = field(default_factory=dict)
    """For each row that uses it, the number of the intervention within the row, and itself."""

    @property
    def items(self) -> list[Resolved]:
        """What the rows ask of it."""
        return [item for _, item in self.rows.values()]


def build_plan(
    rows: Rows, saes: Mapping[str, Sae], device_at: Callable[[HookPoint], torch.device]
) -> SteeringPlan:
    """Put the interventions of all rows into tensors.

    Args:
        rows: Resolved interventions; switched-off ones are left out.
        saes: Every SAE that they name, by alias.
        device_at: The device on which a hook point's stream lives.

    Raises:
        ConflictError: Two interventions of a row set one feature at one position.
        FeatureError: A feature that is not in its SAE.
        HookNameError: A condition that is read after the edit it gates.
    """
    numbered = [
        [(j, item) for j, item in enumerate(row) if item.intervention.enabled] for row in rows
    ]
    live = [[item for _, item in row] for row in numbered]
    for row in live:
        _check_conflicts(row)
    watched = _watched(live, saes)
    slots = _slots(numbered, saes)
    points = sorted({*slots, *(point for point, _ in watched)}, key=lambda point: point.order)
    sites = [_site(point, slots.get(point, []), watched, saes, len(live)) for point in points]
    places = {
        (row, j): (site, slot)
        for site, point in enumerate(points)
        for slot, found in enumerate(slots.get(point, []))
        for row, (j, _) in found.rows.items()
    }
    moved = [site.to(device_at(site.point)) for site in sites]
    return SteeringPlan(len(live), tuple(moved), len(watched), places)


def _check_conflicts(row: Sequence[Resolved]) -> None:
    setters = [item for item in row if item.intervention.edit in SETS_VALUE]
    for i, one in enumerate(setters):
        for other in setters[i + 1 :]:
            a, b = one.intervention, other.intervention
            if (one.sae, a.feature, a.control) == (other.sae, b.feature, b.control) and _overlap(
                a.positions, b.positions
            ):
                raise ConflictError(
                    f"Two edits set feature {a.feature} at the same positions ({a.edit} and "
                    f"{b.edit}), and only one can hold. Remove one, or give them positions that "
                    "do not overlap (the last prompt token counts as prompt and as generated)."
                )


def _overlap(a: Positions, b: Positions) -> bool:
    """Whether any position may belong to both; prompt and generated share the last prompt token."""
    a_stop, b_stop = a.stop or ALWAYS, b.stop or ALWAYS
    return max(a.start, b.start) < min(a_stop, b_stop)


def _watched(rows: Rows, saes: Mapping[str, Sae]) -> dict[tuple[HookPoint, _Source], int]:
    """Number the features that conditions watch, and check that each is read in time."""
    numbers: dict[tuple[HookPoint, _Source], int] = {}
    for item in (item for row in rows for item in row):
        source = _condition_source(item)
        if source is None:
            continue
        saes[source[0]].require(source[1])
        point = HookPoint.parse(saes[source[0]].hook_name)
        if point.order > HookPoint.parse(item.hook_name).order:
            raise HookNameError(
                f"The condition reads feature {source[1]} at {point.name}, which comes after the "
                f"edit at {item.hook_name}. Use a feature of an SAE at or before the edited layer."
            )
        numbers.setdefault((point, source), len(numbers))
    return numbers


def _condition_source(item: Resolved) -> _Source | None:
    condition = item.intervention.condition
    if condition is None:
        return None
    assert item.condition_sae is not None, "the session resolves every alias"
    return item.condition_sae, condition.feature


def _slots(
    rows: Sequence[Sequence[tuple[int, Resolved]]], saes: Mapping[str, Sae]
) -> dict[HookPoint, list[_Slot]]:
    """Collect the distinct (feature read, direction written) pairs of each hook point.

    Rows share a slot where they differ in numbers only; two edits of one pair within a row get a
    slot each.
    """
    found: dict[tuple[object, ...], _Slot] = {}
    by_point: dict[HookPoint, list[_Slot]] = {}
    for index, row in enumerate(rows):
        seen: Counter[tuple[object, ...]] = Counter()
        for j, item in row:
            asked = item.intervention
            target = (item.hook_name, item.sae, asked.feature, asked.direction, asked.control)
            seen[target] += 1
            key = (*target, seen[target])
            if key not in found:
                found[key] = _new_slot(item, saes)
                point = HookPoint.parse(item.hook_name)
                by_point.setdefault(point, []).append(found[key])
            found[key].rows[index] = (j, item)
    return by_point


def _new_slot(item: Resolved, saes: Mapping[str, Sae]) -> _Slot:
    asked = item.intervention
    if asked.direction is not None:
        own = load_direction(asked.direction)
        if isinstance(asked.control, RandomControl):
            own = random_unit(asked.control.seed, own.shape[0])
        return _Slot(None, own)
    assert item.sae is not None and asked.feature is not None, "the session resolves every alias"
    sae = saes[item.sae]
    if isinstance(asked.control, RandomControl):
        direction = random_unit(asked.control.seed, sae.d_in)
    elif isinstance(asked.control, FeatureControl):
        direction = sae.directions([asked.control.feature])[0]
    else:
        direction = sae.directions([asked.feature])[0]
    return _Slot((item.sae, asked.feature), direction)


def _site(
    point: HookPoint,
    slots: Sequence[_Slot],
    watched: Mapping[tuple[HookPoint, _Source], int],
    saes: Mapping[str, Sae],
    n_rows: int,
) -> SitePlan:
    here = {source: number for (at, source), number in watched.items() if at == point}
    read = {slot.source for slot in slots if slot.source and _must_read(slot, saes)}
    ordered = sorted(read | set(here))
    aliases = list(dict.fromkeys(alias for alias, _ in ordered))
    readers = [saes[a].reader([f for alias, f in ordered if alias == a]) for a in aliases]
    width = max((saes[alias].d_in for alias in aliases), default=0)
    # What needs no reading edits a column of zeros, the last one.
    column = {source: index for index, source in enumerate(ordered)}
    source = [column.get(s.source, len(ordered)) if s.source else len(ordered) for s in slots]
    zeros = [ZeroReader()] if len(ordered) in source or not readers else []
    in_order = source == list(range(len(ordered) + len(zeros)))
    return SitePlan(
        point=point,
        readers=(*readers, *zeros),
        slot_source=None if in_order else torch.tensor(source, dtype=torch.long),
        directions=torch.stack([s.direction for s in slots]) if slots else torch.zeros(0, width),
        edit=_edit_tensors(slots, n_rows),
        mask=_mask_tensors(slots, n_rows),
        schedule=_schedule_tensors(slots, n_rows),
        gate=_gate_tensors(slots, n_rows, saes, watched),
        watched=tuple((column[source], number) for source, number in here.items()),
        everywhere=all(_is_everywhere(item) for slot in slots for item in slot.items),
    )


def _is_everywhere(item: Resolved) -> bool:
    positions = item.intervention.positions
    unbounded = positions.start == 0 and positions.stop is None and positions.where != "prompt"
    steady = item.intervention.schedule.kind in ("constant", "ramp", "decay")
    return unbounded and steady and item.intervention.condition is None


def _must_read(slot: _Slot, saes: Mapping[str, Sae]) -> bool:
    """A plain addition needs no activation, unless its SAE rescales each token."""
    if slot.source is None:
        return False
    only_adds = all(item.intervention.edit == "add" for item in slot.items)
    return not only_adds or saes[slot.source[0]].scaling.normalisation != "none"


def _per_row(
    slots: Sequence[_Slot],
    n_rows: int,
    value: Callable[[Resolved], int | float],
    absent: int | float,
) -> Tensor:
    """One number for each row and slot; `absent` where the row does not use the slot."""
    numbers = [
        [value(slot.rows[row][1]) if row in slot.rows else absent for slot in slots]
        for row in range(n_rows)
    ]
    whole = all(isinstance(n, int) for row in numbers for n in row)
    return torch.tensor(numbers, dtype=torch.long if whole else torch.float32).reshape(n_rows, -1)


def _edit_tensors(slots: Sequence[_Slot], n_rows: int) -> EditTensors:
    """Fill in the table of `steering.edits`."""

    def gain(item: Resolved) -> float:
        edit, strength = item.intervention.edit, item.intervention.strength
        if edit == "scale" and strength is not None:
            return strength - 1.0
        return -1.0 if edit in ("clamp", "ablate") else 0.0

    def raw_for(*edits: str) -> Callable[[Resolved], float]:
        absent = {"floor": -math.inf, "cap": math.inf}.get(edits[0], 0.0)
        return lambda item: (item.raw or 0.0) if item.intervention.edit in edits else absent

    bounded = any(item.intervention.edit in ("floor", "cap") for s in slots for item in s.items)
    low = _per_row(slots, n_rows, raw_for("floor"), -math.inf).float()
    high = _per_row(slots, n_rows, raw_for("cap"), math.inf).float()
    return EditTensors(
        gain=_per_row(slots, n_rows, gain, 0.0).float(),
        bias=_per_row(slots, n_rows, raw_for("add", "clamp"), 0.0).float(),
        low=low if bounded else None,
        high=high if bounded else None,
    )


def _mask_tensors(slots: Sequence[_Slot], n_rows: int) -> MaskTensors:
    def of(value: Callable[[Positions], int]) -> Tensor:
        return _per_row(slots, n_rows, lambda item: value(item.intervention.positions), 0).long()

    return MaskTensors(
        start=of(lambda p: p.start),
        stop=of(lambda p: p.stop or ALWAYS),
        prompt=of(lambda p: p.where != "generated").bool(),
        generated=of(lambda p: p.where != "prompt").bool(),
        first=of(lambda p: p.first).bool(),
        special=of(lambda p: p.special).bool(),
    )


def _schedule_tensors(slots: Sequence[_Slot], n_rows: int) -> ScheduleTensors | None:
    """None where every edit is constant, which is the common case and costs nothing."""
    kinds = {item.intervention.schedule.kind for slot in slots for item in slot.items}
    if kinds <= {"constant"}:
        return None

    def of(value: Callable[[Schedule], int], absent: int = 0) -> Tensor:
        return _per_row(slots, n_rows, lambda item: value(item.intervention.schedule), absent)

    return ScheduleTensors(
        tokens=of(lambda s: s.tokens, 1).long(),
        ramp=of(lambda s: s.kind == "ramp").bool(),
        decay=of(lambda s: s.kind == "decay").bool(),
        stop_after=of(lambda s: s.kind == "stop_after").bool(),
        every_n=of(lambda s: s.kind == "every_n").bool(),
    )


def _gate_tensors(
    slots: Sequence[_Slot],
    n_rows: int,
    saes: Mapping[str, Sae],
    watched: Mapping[tuple[HookPoint, _Source], int],
) -> GateTensors | None:
    if not any(item.intervention.condition for slot in slots for item in slot.items):
        return None

    def source(item: Resolved) -> int:
        found = _condition_source(item)
        return -1 if found is None else watched[HookPoint.parse(saes[found[0]].hook_name), found]

    def of(value: Callable[[Condition], int | float]) -> Tensor:
        default = Condition(feature=0)
        return _per_row(
            slots, n_rows, lambda item: value(item.intervention.condition or default), 0
        )

    return GateTensors(
        source=_per_row(slots, n_rows, source, -1).long(),
        above=of(lambda c: c.above).float(),
        on_prompt=of(lambda c: c.on == "prompt").bool(),
        tokens=of(lambda c: c.tokens).long(),
    )
