"""The shapes in which a session takes prompts and interventions, brought to one each."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from steering.errors import AliasError, PromptError
from steering.interventions import Intervention, Message
from steering.invalid import explain_invalid
from steering.records import BASELINE

Chat = Sequence[Message | Mapping[str, str]]
Prompt = str | Chat
Variants = Intervention | Sequence[Intervention] | Mapping[str, Sequence[Intervention]]

ONLY = "sae"
"""The alias of an SAE that was given without one."""

STEERED = "steered"
"""The name of a single list of interventions."""


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


def several_prompts(prompt: Prompt | Sequence[Prompt]) -> list[str | tuple[Message, ...]]:
    """One prompt or several, chats as messages."""
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise PromptError("There is no prompt. Write at least one word.")
    if isinstance(prompt[0], Message | Mapping):
        return [_messages(prompt)]
    return [each for several in prompt for each in several_prompts(several)]  # type: ignore[arg-type]


def _messages(chat: Sequence[Any]) -> tuple[Message, ...]:
    try:
        return tuple(Message.model_validate(message) for message in chat)
    except ValidationError as error:
        problem = explain_invalid(error, Message)
        raise PromptError(f"Cannot read the chat: {problem}. Correct that message.") from error
