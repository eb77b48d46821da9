"""Between the page's components and its state: read all of them, or fill all of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from steering.errors import SteeringError
from steering.invalid import explain_invalid
from ui import placing, sampling
from ui.host import Host
from ui.links import require_same_saes
from ui.rack import interventions_of, rack_of, refuse_files
from ui.state import PageState
from ui.tabs.steer import marks

if TYPE_CHECKING:
    from steering.session import Session

CHAT = "Chat"
COMPLETION = "Completion"
NAMES = ("made_on", "turns", "placed", "rack", "extras", "prompt", "mode", "system", "blind")
"""The components that a state is read from, in order; those for sampling and placing follow."""


def current(host: Host, values: Sequence[Any]) -> PageState:
    """What a person set up, on what is loaded now.

    Raises:
        SteeringError: A value that cannot be used, or a page of another model or SAE.
    """
    state = read_form(values)
    require_same_saes(state, host.session.model.name, marks(host))
    if not host.trusted:
        refuse_files(state.interventions)
    return state


def read_form(values: Sequence[Any]) -> PageState:
    """What a person set up, from the values of all components.

    Raises:
        SteeringError: A value that cannot be used.
    """
    said = dict(zip(NAMES, values, strict=False))
    if not said["made_on"]:
        raise SteeringError(
            "No model is loaded: the line on top of the page says why. Try again when it is gone."
        )
    rest = values[len(NAMES) :]
    how, where = rest[: len(sampling.NAMES)], rest[len(sampling.NAMES) :]
    # A control that was just left and then Generate pressed: its own event is still on its way.
    interventions = placing.replaced(interventions_of(said["rack"]), said["placed"], where)
    try:
        return PageState(
            **said["made_on"],
            on=bool(said["rack"].get("on", True)),
            interventions=interventions,
            prompt=said["prompt"] or "",
            chat=said["mode"] == CHAT,
            system=said["system"] or "",
            turns=said["turns"],
            sampling=sampling.sampling_of(*how),
            panes=said["extras"],
            blind=bool(said["blind"]),
        )
    except ValidationError as error:
        problem = explain_invalid(error, PageState)
        raise SteeringError(f"Cannot use what is set: {problem}. Correct that.") from error


def fill_form(session: "Session", state: PageState) -> list[Any]:
    """A value for every component, in the order in which `read_form` takes them.

    Raises:
        SteeringError: An intervention that this session cannot resolve.
    """
    where = placing.values_of(state.interventions)
    return [
        {"model": state.model, "saes": state.saes},
        [turn.model_dump() for turn in state.turns],
        where,
        rack_of(session, state.interventions, on=state.on),
        [pane.model_dump() for pane in state.panes],
        state.prompt,
        CHAT if state.chat else COMPLETION,
        state.system,
        state.blind,
        *sampling.values_of(state.sampling),
        *where,
    ]
