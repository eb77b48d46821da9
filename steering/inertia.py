"""Never silently unsteered: which edits had to act and did not, and why that may be."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from steering.generation import RowState
from steering.interventions import Resolved
from steering.plan import SteeringPlan


@dataclass(frozen=True)
class Evidence:
    """How often each slot of a plan was allowed to act, and wanted to, in a whole decode."""

    plan: SteeringPlan
    allowed: Sequence[Int[Tensor, "row slot"]]
    acted: Sequence[Int[Tensor, "row slot"]]

    def counts(self, row: int, item: int) -> tuple[int, int]:
        """Tokens allowed and tokens wanted, for one intervention of one row."""
        site, slot = self.plan.places[row, item]
        if site >= len(self.allowed):
            return 0, 0
        return int(self.allowed[site][row, slot]), int(self.acted[site][row, slot])


def inert_edits(
    items: Sequence[Resolved], row: int, state: RowState, evidence: Evidence | None
) -> list[str]:
    """One sentence for each edit of a row that had to act and did not, with its likely causes."""
    if evidence is None:
        return []
    found = []
    for number, item in enumerate(items):
        if item.intervention.must_act:
            allowed, acted = evidence.counts(row, number)
            why = _why_inert(item, state, allowed, acted)
            if why is not None:
                found.append(f"{item.intervention.label()} changed nothing: {why}")
    return found


def _why_inert(item: Resolved, state: RowState, allowed: int, acted: int) -> str | None:
    live = state.liveness
    if live.hook_calls == 0:
        return (
            f"the hook at {item.hook_name} never fired. The model does not run that module; "
            "choose an SAE of another place."
        )
    if allowed == 0:
        return (
            f"no token of this row lies in its positions. The row has {state.length} tokens; check "
            "start, stop and where, and that the prompt is not only special tokens."
        )
    if acted == 0 and item.intervention.edit == "clamp":
        return None
    if acted == 0 or live.tokens_steered == 0:
        return (
            "its delta vanished in the cast to the model's dtype. Use a larger strength, or a "
            "model in float32."
        )
    if state.baseline is not None and live.first_difference is None:
        return (
            "no log-probability moved against the unsteered row beyond rounding. Use a larger "
            "strength, or another feature: this direction may not reach the output."
        )
    return None


def notes(items: Sequence[Resolved], row: int, evidence: Evidence | None) -> list[str]:
    """What a record says of edits that act only sometimes, and never did."""
    if evidence is None:
        return []
    found = []
    for number, item in enumerate(items):
        asked = item.intervention
        if not asked.enabled or asked.is_neutral:
            continue
        allowed, acted = evidence.counts(row, number)
        if asked.condition is not None and allowed == 0:
            found.append(f"{asked.label()}: its condition was true at no token.")
        elif acted == 0 and allowed > 0:
            found.append(f"{asked.label()}: found nothing to change at {allowed} tokens.")
    return found
