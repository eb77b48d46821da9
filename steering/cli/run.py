"""From flags to a session with interventions: what was asked, and what to keep from a preset.

Everything that can be checked without a model is checked before one is loaded.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steering.cli.load import Place, choose_source, load_session
from steering.cli.parse import (
    intervention_of,
    parse_feature,
    parse_intervention,
    parse_messages,
)
from steering.errors import PromptError, SteeringError

if TYPE_CHECKING:
    from steering.interventions import Intervention, Message, Positions, Sampling
    from steering.presets import Preset, SavedSample
    from steering.session import Session

    PromptValue = str | tuple[Message, ...]


@dataclass(frozen=True)
class Wanted:
    """The flags that say what to steer."""

    features: tuple[str, ...] = ()
    preset: str | None = None
    presets: Path | None = None
    where: str | None = None
    paper: bool = False
    force: bool = False


@dataclass(frozen=True)
class Request:
    """What was asked, checked as far as it can be without a model."""

    wanted: Wanted
    place: Place
    interventions: "tuple[Intervention, ...]" = ()
    addresses: tuple[str | None, ...] = ()
    """The SAE that each names by a Neuronpedia address."""
    preset: "Preset | None" = None


@dataclass(frozen=True)
class SamplingFlags:
    """The flags that say how to write; None where one was not given."""

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    past_eos: bool = False

    def over(self, preset: "Preset | None") -> "Sampling":
        """The preset's sampling (or the default) with what the flags say.

        Raises:
            SteeringError: A value outside its range.
        """
        from pydantic import ValidationError

        from steering.interventions import Sampling
        from steering.invalid import explain_invalid

        asked = asdict(self)
        if asked.pop("past_eos"):
            asked["stop_at_eos"] = False
        base = preset.sampling.model_dump() if preset else {}
        flags = {key: value for key, value in asked.items() if value not in (None, [])}
        try:
            return Sampling.model_validate({**base, **flags})
        except ValidationError as error:
            problem = explain_invalid(error, Sampling)
            raise SteeringError(
                f"Cannot sample like that: {problem}. Correct that flag."
            ) from error


@dataclass(frozen=True)
class Ready:
    """A loaded session and what to do with it."""

    session: "Session"
    interventions: "tuple[Intervention, ...]"
    warnings: tuple[str, ...] = ()


def read_request(wanted: Wanted, place: Place) -> Request:
    """Parse the features and read the preset.

    Raises:
        SteeringError: Nothing to steer, or something that cannot be read.
    """
    if not wanted.features and wanted.preset is None:
        raise SteeringError(
            "There is nothing to steer. Give a feature, such as -f 2017=10, or a preset with "
            "--preset NAME (`steer preset list` shows them)."
        )
    positions = _positions(wanted)
    asked = [_read_feature(text, positions) for text in wanted.features]
    interventions, addresses = zip(*asked, strict=True) if asked else ((), ())
    preset = None
    if wanted.preset is not None:
        from steering.presets import load_preset

        preset = load_preset(wanted.preset, wanted.presets)
    return Request(wanted, place, interventions, addresses, preset)


def _read_feature(text: str, positions: "Positions | None") -> "tuple[Intervention, str | None]":
    """What one `-f` asks, and the Neuronpedia address of the SAE that it names."""
    if text.lstrip().startswith("{"):
        return parse_intervention(text, positions), None
    from steering.interventions import Positions

    flag = parse_feature(text)
    return intervention_of(flag, text, positions or Positions()), flag.neuronpedia_id


def _positions(wanted: Wanted) -> "Positions | None":
    """What --positions and --paper ask, None where neither was given."""
    from steering.interventions import Positions

    if wanted.where is None and not wanted.paper:
        return None
    whole = {"first": True, "special": True} if wanted.paper else {}
    return Positions.model_validate({"where": wanted.where or "all", **whole})


def read_prompt(
    typed: str | None, preset: "Preset | None", *, chat: bool, system: str | None
) -> "PromptValue":
    """The prompt given, or standard input, or the preset's first.

    Raises:
        PromptError: There is none, or it is not text.
    """
    if typed is None and preset is not None and preset.prompts:
        if system is not None or chat:
            raise PromptError("--chat and --system go with a PROMPT of your own. Write one.")
        return preset.prompts[0]
    if sys.stdin is not None and (typed == "-" or (typed is None and not sys.stdin.isatty())):
        try:
            typed = sys.stdin.read().rstrip("\n")
        except UnicodeDecodeError as error:
            raise PromptError("Standard input is not UTF-8 text. Convert it first.") from error
    if typed is None or not typed.strip():
        raise PromptError("There is no prompt. Write one behind the command, or pipe one in.")
    return as_prompt(typed, chat=chat, system=system)


def read_messages(
    messages: str, typed: str | None, *, chat: bool, system: str | None
) -> "PromptValue":
    """The chat given as messages.

    Raises:
        PromptError: It cannot be read, or another prompt is given beside it.
    """
    if typed is not None or chat or system is not None:
        raise PromptError(
            "--messages is the whole prompt. Leave PROMPT, --chat and --system out, or leave out "
            "--messages."
        )
    prompt = parse_messages(messages)
    _require_utf8(*(message.content for message in prompt if not isinstance(message, str)))
    return prompt


def about_preset(preset: "Preset", prompt: "PromptValue") -> str:
    """The preset's title, and which prompt is used of how many."""
    shown = prompt if isinstance(prompt, str) else prompt[-1].content
    others = len(preset.prompts) - 1 if prompt in preset.prompts else 0
    more = f" ({others} more in the preset: `steer preset show {preset.name}`)" if others else ""
    return f"{preset.title}. Prompt: {shown!r}{more}"


def as_prompt(text: str, *, chat: bool, system: str | None) -> "PromptValue":
    """A text as it is, or as a user's chat message."""
    _require_utf8(text, system or "")
    if not chat and system is None:
        return text
    from steering.interventions import Message

    first = () if system is None else (Message(role="system", content=system),)
    return (*first, Message(role="user", content=text))


def _require_utf8(*texts: str) -> None:
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise PromptError("The prompt is not valid UTF-8 text. Write it again.")


def prepare(request: Request) -> Ready:
    """Load the session and bring every intervention onto its SAEs.

    Raises:
        SteeringError: Something cannot be loaded, or does not fit.
    """
    named = [address for address in dict.fromkeys(request.addresses) if address]
    session = load_session(choose_source(request.place, request.preset, named), request.place)
    own = [
        each.model_copy(update={"sae": session.alias_of(address)}) if address else each
        for address, each in zip(request.addresses, request.interventions, strict=True)
    ]
    if request.preset is None:
        return Ready(session, tuple(own))
    from steering.presets.use import check_preset, pinned

    warnings = check_preset(request.preset, session.saes, force=request.wanted.force)
    if session.model.name != request.preset.model and not request.preset.is_bundled:
        warnings += (
            f"Preset {request.preset.name!r} was made on the model {request.preset.model!r}, and "
            f"this is {session.model.name!r}.",
        )
    kept = pinned(request.preset, session)
    positions = _positions(request.wanted)
    if positions is not None:
        kept = tuple(each.model_copy(update={"positions": positions}) for each in kept)
    return Ready(session, (*kept, *own), warnings)


def written(
    ready: Ready, prompts: "Sequence[PromptValue]", sampling: "Sampling"
) -> "list[SavedSample]":
    """Run each prompt once and keep the two texts."""
    from steering.presets import SavedSample

    kept = []
    for prompt in prompts:
        made = ready.session.compare(prompt, ready.interventions, sampling)
        kept.append(
            SavedSample(
                prompt=prompt,
                baseline=made.baseline.text,
                steered=made.steered.text,
                seed=sampling.seed,
            )
        )
    return kept
