"""The feature rack: rows of the page and interventions, in both directions.

A row carries its whole intervention as plain data, the one schema, and beside it what a person
reads: a label, the maximum, how far the slider goes. The browser changes numbers in it; what they
come to is the session's.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import ValidationError

from steering.cli.parse import intervention_of, parse_feature
from steering.errors import FeatureError, StrengthError
from steering.interventions import FeatureControl, Intervention, Positions, Unit
from steering.invalid import explain_invalid
from ui.component import component
from ui.feature_lines import feature_lines, feature_name
from ui.state import MOST_ROWS

if TYPE_CHECKING:
    from steering.session import Session

Rack = dict[str, Any]
EMPTY: Rack = {"on": True, "rows": []}

REACH = {"max_act": (10.0, 0.05), "norm": (2.0, 0.01), "factor": (5.0, 0.05)}
"""How far a slider goes to both sides, and its step: max_act as in the study, norm twice past where
fluency ends; `raw` goes as far as max_act does. The number box takes any number."""
ADDED_AT = 1.0
"""Multiples of the maximum at which a feature is added by a click; the slider does the rest."""
ADDED_AT_NORM = 0.5
"""Where the maximum is unknown: the middle of the useful range."""


def feature_rack(**options: Any) -> gr.HTML:
    """The component: its value is `{"on": bool, "rows": [...]}`.

    `server.convert(intervention, unit)` must be given as a server function.
    """
    return component("rack", EMPTY, **options)


def interventions_of(rack: object) -> tuple[Intervention, ...]:
    """The interventions of a rack, as the browser or a client sent it.

    Raises:
        FeatureError: Not a rack.
        StrengthError: A row whose numbers do not make an intervention.
    """
    rows = rack.get("rows") if isinstance(rack, Mapping) else None
    whole = isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)
    if not isinstance(rows, list) or not whole or len(rows) > MOST_ROWS:
        raise FeatureError(
            f"The rack cannot be read: it holds up to {MOST_ROWS} rows, each with an intervention. "
            "Reload the page."
        )
    return tuple(read_intervention(row.get("intervention")) for row in rows)


def read_intervention(data: object) -> Intervention:
    """One intervention from plain data.

    Raises:
        StrengthError: The data make no intervention.
    """
    try:
        return Intervention.model_validate(data)
    except ValidationError as error:
        problem = explain_invalid(error, Intervention)
        raise StrengthError(f"A row cannot be used: {problem}. Correct it.") from error


def require_room(rack: Rack, more: int = 1) -> None:
    """Raise where a rack has no room for some more rows.

    Raises:
        FeatureError: It would hold more than it can.
    """
    free = MOST_ROWS - len(interventions_of(rack))
    if more <= free:
        return
    if free <= 0:
        raise FeatureError(f"The rack is full: it holds {MOST_ROWS} rows. Remove one first.")
    raise FeatureError(
        f"{more} features do not fit: the rack holds {MOST_ROWS} rows and has room for {free}. "
        "Add them one by one, or choose a smaller group."
    )


def refuse_files(interventions: Sequence[Intervention]) -> None:
    """Raise where strangers could have a file of this machine read.

    Raises:
        FeatureError: An edit names a file.
    """
    if any(each.direction is not None for each in interventions):
        raise FeatureError(
            "A plain direction is a file of the machine that serves the page, and this request "
            "may come from anyone. Use a feature, or a preset on a page of your own."
        )


def with_maxima(
    session: "Session", interventions: Sequence[Intervention]
) -> tuple[Intervention, ...]:
    """The same edits, each with the maximum that its strength counts.

    Another copy of the SAE may come with other maxima, and a link must not change its dose.
    """

    def with_its_own(each: Intervention) -> Intervention:
        if each.unit != "max_act" or each.max_act is not None:
            return each
        used = session.resolve(each)
        found = {"max_act": used.max_act, "max_act_source": used.max_act_source}
        return each.model_copy(update=found)

    return tuple(map(with_its_own, interventions))


def without_known_maxima(
    session: "Session", interventions: Sequence[Intervention]
) -> tuple[Intervention, ...]:
    """The same edits, without the maxima that this session knows itself."""
    unknown = {"max_act": None, "max_act_source": None}

    def known(each: Intervention) -> bool:
        plain = each.model_copy(update=unknown)
        found = session.known_max_act(plain, session.resolve(each).sae)
        return found is not None and found[0] == each.max_act

    return tuple(each.model_copy(update=unknown) if known(each) else each for each in interventions)


def rack_of(session: "Session", interventions: Sequence[Intervention], *, on: bool = True) -> Rack:
    """A rack that shows these interventions."""
    return {"on": on, "rows": [row_of(session, each) for each in interventions]}


def row_of(session: "Session", intervention: Intervention) -> dict[str, Any]:
    """One row of the rack: the intervention, and what to show of it.

    Raises:
        SteeringError: The session cannot resolve it.
    """
    resolved = session.resolve(intervention)
    known = session.known_max_act(intervention, resolved.sae)
    estimated = (resolved.max_act, resolved.max_act_source) if resolved.max_act else None
    maximum, source = known or estimated or (None, None)
    raw = maximum or 10.0
    # In digits and not in decimals: some SAEs' activations stay below 0.01.
    reach = {**REACH, "raw": (float(f"{10 * raw:.3g}"), float(f"{raw / 20:.2g}"))}
    return {
        "intervention": intervention.model_dump(mode="json"),
        "name": _name(session, intervention, resolved.sae),
        "label": label_of(session, resolved.sae, intervention.feature),
        "max": None if maximum is None else f"max act {maximum:.4g}",
        "max_source": source,
        "where": _where(intervention),
        "reach": reach,
        "plain_direction": intervention.direction is not None,
    }


def _name(session: "Session", intervention: Intervention, alias: str | None) -> str:
    if intervention.direction is not None:
        return intervention.direction.path.rpartition("/")[2]
    assert intervention.feature is not None, "an intervention has a feature or a direction"
    return feature_name(session, alias, intervention.feature)


def label_of(session: "Session", alias: str | None, feature: int | None) -> str:
    """What is known of a feature, in words; its number where nothing is."""
    if alias is None or feature is None:
        return "plain direction"
    return feature_lines(session, alias, [feature])[0]["label"]


def _where(intervention: Intervention) -> str:
    """Everything about a row that is not as usual, in a few words."""
    said = []
    positions, schedule = intervention.positions, intervention.schedule
    if positions.where != "all":
        said.append(f"{positions.where} tokens only")
    if positions.start or positions.stop:
        said.append(f"positions {positions.start} to {positions.stop or 'the end'}")
    if positions.first:
        said.append("first token too")
    if positions.special:
        said.append("special tokens too")
    if schedule.kind != "constant":
        said.append(f"{schedule.kind.replace('_', ' ')} {schedule.tokens}")
    if intervention.condition is not None:
        said.append(f"if #{intervention.condition.feature} > {intervention.condition.above:g}")
    if intervention.control is not None:
        said.append(_along(intervention))
    return " · ".join(said)


def converted(session: "Session", data: object, unit: Unit) -> dict[str, Any]:
    """A row's intervention with the same strength in another unit.

    Raises:
        SteeringError: No such unit, or one that needs a maximum that is not known.
    """
    return row_of(session, session.in_unit(read_intervention(data), unit))


_TYPED = re.compile(r"\s*(?:[^\s/]+/)?#?-?\d+\s*(?:[=:].*)?")


def is_typed_feature(text: str) -> bool:
    """Whether a person typed a feature, and not words to search for."""
    return "neuronpedia.org/" in text or _TYPED.fullmatch(text) is not None


def typed_feature(session: "Session", text: str) -> Intervention:
    """The intervention that a person typed: `1234`, `1234=2.5`, or a Neuronpedia address.

    Raises:
        SteeringError: No such feature, or a strength that cannot be read.
    """
    # As the rack shows it: `#12`, or `alias/#12`.
    asked = text.strip().removeprefix("#").replace("/#", "/", 1)
    flag = parse_feature(asked)
    alias = session.alias_of(flag.neuronpedia_id) if flag.neuronpedia_id else flag.alias
    if flag.neuronpedia_id:
        # What an address asks of Neuronpedia, as in `?embed=true`, is no strength.
        asked = re.sub(r"[?#][^:]*", "", asked)
    if not re.search(r"[=:]", asked.rpartition("/")[2]):
        return new_intervention(session, alias, flag.feature)
    made = intervention_of(flag, asked, Positions()).model_copy(update={"sae": alias})
    session.resolve(made)
    return made


def new_intervention(session: "Session", alias: str | None, feature: int) -> Intervention:
    """A feature at a strength from which a person can go on."""
    made = Intervention(feature=feature, sae=alias, strength=ADDED_AT)
    try:
        session.resolve(made)
    except StrengthError:
        made = Intervention(feature=feature, sae=alias, strength=ADDED_AT_NORM, unit="norm")
        session.resolve(made)
    return made


def picked_intervention(session: "Session", picked: Mapping[str, Any]) -> Intervention:
    """What a click on an Add button asks for: a feature, or an edit that comes with its strength.

    Raises:
        SteeringError: No such feature, or an edit that cannot be used.
    """
    if picked.get("intervention") is None:
        return new_intervention(session, picked["sae"], int(picked["feature"]))
    made = read_intervention(picked["intervention"])
    session.resolve(made)
    return made


def summary(interventions: Sequence[Intervention], labels: Sequence[str]) -> list[str]:
    """What the steered side is pushed to, a line an edit: `Boost …` or `Reduce …`."""
    words = {"boost": "Boost", "reduce": "Reduce"}
    return [
        f"{words[each.effect]} “{label}” ({_amount(each)})"
        if each.control is None
        else f"As strongly as for “{label}” ({_amount(each)}), {_along(each)}"
        for each, label in zip(interventions, labels, strict=True)
        if each.effect in words
    ]


def _along(intervention: Intervention) -> str:
    """What a control's edit goes along instead."""
    if isinstance(intervention.control, FeatureControl):
        return f"along #{intervention.control.feature}"
    return f"along random direction {intervention.control.seed if intervention.control else 0}"


def _amount(intervention: Intervention) -> str:
    unit = {"max_act": "× max", "norm": "× norm", "raw": "raw", None: ""}[intervention.unit]
    number = "" if intervention.strength is None else f"{intervention.strength:g}"
    return " ".join(part for part in (intervention.edit, number, unit) if part)
