"""Between a preset and a session: made from one, checked against one, brought back to one.

It asks a session what strengths come to and computes nothing itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from steering.bundle import BUNDLE
from steering.errors import PresetError
from steering.interventions import Intervention, Message, Resolved, Sampling
from steering.invalid import explain_invalid
from steering.presets import SAME_NUMBER, Preset, SaeSource, SavedSample

if TYPE_CHECKING:
    from steering.sae import Sae
    from steering.session import Session

Prompts = Sequence[str | Sequence[Message]]


@dataclass(frozen=True)
class About:
    """What a new preset is called (a slug), shown as, and described as in one sentence."""

    name: str
    title: str
    description: str = ""


def make_preset(
    session: "Session",
    interventions: Sequence[Intervention],
    about: About,
    *,
    sampling: Sampling | None = None,
    prompts: Prompts = (),
    samples: Sequence[SavedSample] = (),
) -> Preset:
    """Keep what these interventions come to on the SAEs of a session.

    Raises:
        PresetError: A name or text that no preset can have, or an SAE that no file can name.
        SteeringError: An intervention that this session cannot resolve.
    """
    try:
        return Preset(
            name=about.name,
            title=about.title,
            description=about.description,
            model=lasting_model_name(session),
            saes={alias: _source_of(sae) for alias, sae in session.saes.items()},
            interventions=tuple(session.resolve(each) for each in interventions),
            sampling=sampling or Sampling(),
            prompts=tuple(each if isinstance(each, str) else tuple(each) for each in prompts),
            samples=tuple(samples),
        )
    except ValidationError as error:
        problem = explain_invalid(error, Preset)
        raise PresetError(f"Cannot make preset {about.name!r}: {problem}. Correct that.") from error


def lasting_model_name(session: "Session") -> str:
    """The model's name so that another run finds it from any folder."""
    name = session.model.name
    folder = Path(name).expanduser()
    bundled = any(is_bundled(sae) for sae in session.saes.values())
    return str(folder.resolve()) if folder.is_dir() and not bundled else name


def is_bundled(sae: "Sae") -> bool:
    """Whether an SAE is the one that `Session.demo()` loads; the bundle holds another one too."""
    return sae.folder is not None and sae.folder.resolve() == (BUNDLE / "sae").resolve()


def _source_of(sae: "Sae") -> SaeSource:
    """Name an SAE so that another run finds it again."""
    fingerprint = sae.fingerprint
    if is_bundled(sae):
        return SaeSource(bundled=True, fingerprint=fingerprint)
    if sae.folder is not None:
        return SaeSource(folder=str(sae.folder.resolve()), fingerprint=fingerprint)
    if not isinstance(sae.source, tuple):
        raise PresetError(
            f"SAE {sae.name!r} comes from no release and no folder, so a file cannot name it. "
            "Save it with save_model() and load it from there."
        )
    release, sae_id = sae.source
    return SaeSource(release=release, sae_id=sae_id, fingerprint=fingerprint)


def check_preset(
    preset: Preset, saes: Mapping[str, "Sae"], *, force: bool = False
) -> tuple[str, ...]:
    """Compare the SAEs loaded with those that the preset was made on.

    Returns:
        One warning for each other SAE that is used all the same, because forced.

    Raises:
        PresetError: An SAE is missing, or is another one and not forced.
    """
    warnings = []
    for alias, source in preset.saes.items():
        if alias not in saes:
            raise PresetError(
                f"Preset {preset.name!r} needs an SAE as {alias!r}; loaded are "
                f"{', '.join(saes) or 'none'}. Load it under that alias."
            )
        loaded = saes[alias]
        if loaded.fingerprint == source.fingerprint:
            continue
        differ = (
            f"Preset {preset.name!r} was made on an SAE with fingerprint {source.fingerprint}, and "
            f"{loaded.name!r} has {loaded.fingerprint}: feature numbers mean something else there."
        )
        if not force:
            raise PresetError(f"{differ} Load the SAE that it names, or force it (--force).")
        warnings.append(f"{differ} It was forced.")
    return tuple(warnings)


def pinned(preset: Preset, session: "Session") -> tuple[Intervention, ...]:
    """The interventions so that they come to the preset's raw coefficients again.

    On the same SAE the preset's own maximum is used wherever the session would estimate one or
    knows another. On another SAE (forced) they stay as typed, to be resolved afresh.
    """
    return tuple(_pinned(item, preset, session) for item in preset.interventions)


def _pinned(item: Resolved, preset: Preset, session: "Session") -> Intervention:
    asked = item.intervention
    same = item.sae is None or (
        session.saes[item.sae].fingerprint == preset.saes[item.sae].fingerprint
    )
    if not same or item.raw is None or asked.unit == "raw":
        return asked
    if asked.unit == "max_act":
        known = session.known_max_act(asked, item.sae)
        if known is not None and math.isclose(known[0], item.max_act or 0.0, rel_tol=SAME_NUMBER):
            return asked
        found = {"max_act": item.max_act, "max_act_source": item.max_act_source}
        return asked.model_copy(update=found)
    again = session.resolve(asked).raw
    if again is not None and math.isclose(again, item.raw, rel_tol=SAME_NUMBER):
        return asked
    return asked.model_copy(update={"unit": "raw", "strength": item.raw})
