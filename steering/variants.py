"""The same interventions at another strength, or along random directions: rows to compare with.

Pure functions of the schema: they know no session and no model.
"""

import math
from collections.abc import Iterable

from steering.errors import StrengthError
from steering.interventions import Intervention, RandomControl


def at_strength(interventions: Iterable[Intervention], factor: float) -> tuple[Intervention, ...]:
    """Each strength times `factor`, counted from what is neutral: a `scale` of 3 is 2 away from 1.

    An edit without a strength (ablate) stays as it is.

    Raises:
        StrengthError: A strength would not be a finite number.
    """
    return tuple(_times(each, factor) for each in interventions)


def _times(asked: Intervention, factor: float) -> Intervention:
    if asked.strength is None:
        return asked
    neutral = 1.0 if asked.edit == "scale" else 0.0
    strength = neutral + (asked.strength - neutral) * factor
    if not math.isfinite(strength):
        raise StrengthError(
            f"{asked.label()}: {factor} times that strength is {strength}. Use a finite factor."
        )
    return asked.model_copy(update={"strength": strength})


def along_random(interventions: Iterable[Intervention], seed: int) -> tuple[Intervention, ...]:
    """The same per-token coefficients along one seeded random direction."""
    control = RandomControl(seed=seed)
    return tuple(each.model_copy(update={"control": control}) for each in interventions)
