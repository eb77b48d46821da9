"""Where and when edits act: the page's own controls for positions, schedule and condition.

Rows of the rack carry these themselves; the controls write them into every row.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, ValidationError

from steering.errors import FeatureError, StrengthError
from steering.interventions import Condition, Intervention, Positions, Schedule
from steering.invalid import explain_invalid

KINDS = ("constant", "ramp", "decay", "stop_after", "every_n")
NAMES = ("where", "first", "special", "kind", "tokens", "watched", "above", "on", "recent")


class Placing(BaseModel):
    """Positions, schedule and condition, for every row alike."""

    model_config = ConfigDict(frozen=True)
    positions: Positions = Positions()
    schedule: Schedule = Schedule()
    condition: Condition | None = None

    def of(self, intervention: Intervention, only: Collection[str] = NAMES) -> Intervention:
        """An edit at these places, or with those of them alone that `only` names.

        The bounds that only a preset can set stay.
        """
        named = {"where", "first", "special"} & set(only)
        moved = {name: getattr(self.positions, name) for name in named}
        update: dict[str, Any] = {"positions": intervention.positions.model_copy(update=moved)}
        if {"kind", "tokens"} & set(only):
            update["schedule"] = self.schedule
        if {"watched", "above", "on", "recent"} & set(only):
            update["condition"] = self.condition
        return intervention.model_copy(update=update)


def replaced(
    interventions: Sequence[Intervention], before: Sequence[Any], after: Sequence[Any]
) -> tuple[Intervention, ...]:
    """Edits with those places changed that a person changed in the controls; the others stay.

    Raises:
        SteeringError: A control's value cannot be used.
    """
    pairs = zip(NAMES, before, after, strict=True)
    changed = [name for name, was, now in pairs if was != now]
    if not changed:
        return tuple(interventions)
    placing = placing_of(*after)
    return tuple(placing.of(each, changed) for each in interventions)


def placing_of(*values: Any) -> Placing:
    """What the controls say, in the order of NAMES.

    Raises:
        StrengthError: A number out of its range.
        FeatureError: The watched feature is no number.
    """
    said: dict[str, Any] = dict(zip(NAMES, values, strict=True))
    try:
        return Placing(
            positions=Positions(where=said["where"], first=said["first"], special=said["special"]),
            schedule=Schedule(kind=said["kind"], tokens=said["tokens"]),
            condition=_condition(said),
        )
    except ValidationError as error:
        problem = explain_invalid(error, Placing)
        raise StrengthError(f"Cannot steer there: {problem}. Correct that.") from error


def _condition(said: dict[str, Any]) -> Condition | None:
    watched = (said["watched"] or "").strip()
    if not watched:
        return None
    found = re.fullmatch(r"(?:(?P<sae>[^/\s]+)/)?#?(?P<feature>\d{1,18})", watched)
    if found is None:
        raise FeatureError(
            f"Cannot read the watched feature {watched!r}. Write its number, such as 557, or "
            "alias/557 where several SAEs are loaded."
        )
    return Condition(
        feature=int(found["feature"]),
        sae=found["sae"],
        above=said["above"],
        on=said["on"],
        tokens=said["recent"],
    )


def values_of(interventions: tuple[Intervention, ...]) -> list[Any]:
    """What the controls show for some rows: the first row's, since they write to all alike."""
    placing = Intervention(feature=0, edit="ablate") if not interventions else interventions[0]
    condition = placing.condition
    alias = f"{condition.sae}/" if condition and condition.sae else ""
    return [
        placing.positions.where,
        placing.positions.first,
        placing.positions.special,
        placing.schedule.kind,
        placing.schedule.tokens,
        f"{alias}{condition.feature}" if condition else "",
        condition.above if condition else 0.0,
        condition.on if condition else "recent",
        condition.tokens if condition else 1,
    ]


def controls() -> list[Any]:
    """The Gradio controls, in the order of NAMES."""
    return [
        gr.Radio(
            [("all tokens", "all"), ("prompt", "prompt"), ("generated", "generated")],
            value="all",
            label="Which tokens to steer",
            interactive=True,
        ),
        gr.Checkbox(False, label="The first token (BOS) too", interactive=True),
        gr.Checkbox(False, label="Special tokens too", interactive=True),
        gr.Dropdown(list(KINDS), value="constant", label="Schedule", interactive=True),
        gr.Number(1, label="Tokens of the schedule", precision=0, minimum=1, interactive=True),
        gr.Textbox(
            label="Only while feature … (number; empty: always)", max_lines=1, interactive=True
        ),
        gr.Number(0.0, label="… is above", interactive=True),
        gr.Radio(["recent", "prompt"], value="recent", label="… on", interactive=True),
        gr.Number(1, label="Recent tokens", precision=0, minimum=1, interactive=True),
    ]
