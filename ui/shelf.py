"""Presets between the page and their files: pick, import, save, delete, download, another model."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steering.errors import PresetError
from steering.invalid import explain_invalid
from steering.presets import (
    Preset,
    delete_preset,
    list_presets,
    load_preset,
    preset_text,
    read_preset,
    require_free,
    save_preset,
)
from steering.presets.use import About
from ui.gallery import preset_of, slug_of, state_with
from ui.host import Host, Load
from ui.state import PageState
from ui.tabs.steer import made_on, sample_for


class OtherSae(PresetError):
    """A preset of another SAE, which can be loaded instead of this one."""


def take(name: str, folder: Path | None) -> Preset:
    """A preset of the gallery, by its name alone: a path is none.

    Raises:
        PresetError: There is none, or it cannot be read.
    """
    listed = next((each for each in list_presets(folder) if each.name == name), None)
    if listed is None:
        raise PresetError(f"There is no preset {name!r} any more. Reload the page.")
    return listed.preset or load_preset(name, folder)


def put_on(preset: Preset, host: Host, state: PageState) -> PageState:
    """The page's state with a preset on it.

    Raises:
        OtherSae: It was made on another SAE than the one loaded.
        SteeringError: It cannot be used here.
    """
    loaded = {alias: sae.fingerprint for alias, sae in host.session.saes.items()}
    asked = {alias: source.fingerprint for alias, source in preset.saes.items()}
    if any(loaded.get(alias) != mark for alias, mark in asked.items()):
        names = ", ".join(_place(source) for source in preset.saes.values())
        raise OtherSae(
            f"{preset.title!r} was made on the model {preset.model!r} with the SAE {names}; loaded "
            f"is {host.session.model.name!r}. Load that model and SAE instead?"
        )
    put = state_with(preset, host.session, state.model_copy(update=made_on(host)))
    try:
        return PageState.model_validate(put.model_dump())
    except ValidationError as error:
        problem = explain_invalid(error, PageState)
        raise PresetError(f"{preset.title!r} does not fit on the page: {problem}.") from error


def _place(source: Any) -> str:
    address = source.address
    return "that comes with the program" if address is None else repr(address)


def loader_of(preset: Preset) -> Load:
    """What loads a preset's own model and SAEs."""
    from steering.cli.load import Place, choose_source, load_session

    place = Place()
    return lambda: load_session(choose_source(place, preset), place)


def take_file(path: Path, host: Host) -> tuple[Preset, str | None]:
    """A preset from a file that a person gave; put into the gallery too, where it can be.

    Returns:
        The preset, and why it is not in the gallery.

    Raises:
        PresetError: The file cannot be read, is broken, too large, or newer.
    """
    try:
        preset = read_preset(path)
    except PresetError as error:
        # Uploads lie under a path that says nothing to the person who chose the file.
        raise PresetError(str(error).replace(str(path), path.name)) from error
    if not host.trusted:
        return preset, None
    try:
        save_preset(preset, host.presets)
    except PresetError as error:
        return preset, f"It is on the page and not in the gallery. {error}"
    return preset, None


def checked(data: Any) -> Preset:
    """A preset that was read before and went through the browser.

    Raises:
        PresetError: It is no longer one.
    """
    try:
        return Preset.model_validate(data)
    except ValidationError as error:
        raise PresetError(f"Not a preset: {explain_invalid(error, Preset)}.") from error


def is_own(name: str, host: Host) -> bool:
    """Whether a preset is a person's own, and can be written over."""
    return any(each.name == name and not each.packaged for each in list_presets(host.presets))


def save_again(name: str, state: PageState, sample: Any, host: Host) -> str:
    """Write the page over an own preset; its name and description stay.

    Raises:
        SteeringError: Nothing to save, or it cannot be written.
    """
    require_trust(host)
    before = load_preset(name, host.presets)
    about = About(name, before.title, before.description)
    preset = preset_of(state, host.session, about, sample_for(state, sample))
    others = [each for each in before.prompts if each not in preset.prompts]
    whole = preset.model_copy(update={"prompts": (*preset.prompts, *others)})
    save_preset(whole, host.presets, overwrite=True)
    return name


def save_new(
    title: str | None, description: str | None, state: PageState, sample: Any, host: Host
) -> str:
    """Write the page as a new preset.

    Raises:
        SteeringError: No name, one that is taken, nothing to save, or it cannot be written.
    """
    require_trust(host)
    title, description = (title or "").strip(), (description or "").strip()
    name = slug_of(title)
    if not name:
        raise PresetError("The preset needs a name with a letter or digit in it. Write one.")
    require_free(name, host.presets)
    about = About(name, title, description)
    save_preset(preset_of(state, host.session, about, sample_for(state, sample)), host.presets)
    return name


def as_file(title: str | None, state: PageState, sample: Any, host: Host) -> dict[str, str]:
    """The page as a preset file: its name and text."""
    title = (title or "").strip() or "My preset"
    about = About(slug_of(title) or "preset", title)
    preset = preset_of(state, host.session, about, sample_for(state, sample))
    return {"file": f"{preset.name}.json", "text": preset_text(preset)}


def remove(name: str, host: Host) -> None:
    """Delete an own preset.

    Raises:
        PresetError: It comes with the program, or there is none.
    """
    require_trust(host)
    delete_preset(name, host.presets)


def require_trust(host: Host) -> None:
    """Refuse to write where strangers visit.

    Raises:
        PresetError: The page has a shared address.
    """
    if not host.trusted:
        raise PresetError(
            "This page has a shared address, so nothing is saved or deleted on its machine. "
            "Export the preset as a file instead."
        )
