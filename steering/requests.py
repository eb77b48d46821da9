"""The shapes in which a session takes prompts and interventions, brought to one each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from steering.errors import AliasError, PromptError
from steering.interventions import Intervention, Message
from steering.invalid import explain_invalid
from steering.records import BASELINE

Chat = Sequence[Message | Mapping[str, str]]
Prompt = str | Chat
OnePrompt = str | tuple[Message, ...]
Variants = Intervention | Sequence[Intervention] | Mapping[str, Sequence[Intervention]]

ONLY = "sae"
"""The alias of an SAE that was given without one."""

STEERED = "steered"
"""The name of a single list of interventions."""


@dataclass(frozen=True)
class RowRequest:
    """One row of a decode: its own prompt and its own interventions."""

    name: str
    prompt: Prompt
    interventions: Sequence[Intervention] = ()
    seed: int | None = None
    """Its own; else the sampling's."""


def require_distinct(rows: Sequence[RowRequest]) -> None:
    """Raise unless every row has a name of its own, and the baseline's is an unsteered row's.

    Raises:
        PromptError: There is no row.
        AliasError: Two rows with one name, or a baseline with interventions.
    """
    if not rows:
        raise PromptError("There is no row to write. Give at least one, with a prompt.")
    name, times = Counter(row.name for row in rows).most_common(1)[0]
    if times > 1:
        raise AliasError(f"{times} rows are named {name!r}. Give each a name of its own.")
    if any(row.name == BASELINE and row.interventions for row in rows):
        raise AliasError(f"The name {BASELINE!r} is the unsteered row's. Rename that row.")


def named_variants(interventions: Variants) -> dict[str, Sequence[Intervention]]:
    """Every list of interventions by name; one alone is called "steered".

    Raises:
        AliasError: No variant, or one that takes the baseline's name.
    """
    if isinstance(interventions, Intervention):
        return {STEERED: [interventions]}
    if not isinstance(interventions, Mapping):
        return {STEERED: list(interventions)}
    if BASELINE in interventions:
        raise AliasError(f"The name {BASELINE!r} is the unsteered row's. Rename that variant.")
    if not interventions:
        raise AliasError("There is no variant to run. Give at least one list of interventions.")
    return dict(interventions)


def several_prompts(prompt: Prompt | Sequence[Prompt]) -> list[OnePrompt]:
    """One prompt or several, chats as messages."""
    if isinstance(prompt, str) or not prompt or isinstance(prompt[0], Message | Mapping):
        return [one_prompt(prompt)]
    return [each for several in prompt for each in several_prompts(several)]  # type: ignore[arg-type]


def one_prompt(prompt: str | Sequence[Any]) -> OnePrompt:
    """A text as it is, or a chat as messages.

    Raises:
        PromptError: There is none, or a message cannot be read.
    """
    if isinstance(prompt, str):
        return prompt
    if not prompt:
        raise PromptError("There is no prompt. Write at least one word.")
    try:
        return tuple(Message.model_validate(message) for message in prompt)
    except ValidationError as error:
        problem = explain_invalid(error, Message)
        raise PromptError(f"Cannot read the chat: {problem}. Correct that message.") from error
