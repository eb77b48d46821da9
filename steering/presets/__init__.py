"""Presets: interventions with everything that their numbers rest on, for one model and its SAEs.

A preset reproduces: it keeps the unit typed, the maximum used and where that came from, the raw
coefficient they came to, and a fingerprint of each SAE. `steering.presets.files` finds, reads and
writes the files, and `steering.presets.use` goes between a preset and a session.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steering.errors import PresetError
from steering.interventions import Message, Resolved, Sampling
from steering.invalid import explain_invalid
from steering.presets.files import (
    SLUG,
    delete_file,
    find_preset,
    place_for,
    preset_names,
    read_json,
    write_file,
)

SCHEMA_VERSION = 1
SAME_NUMBER = 1e-3
"""Relative: below what bfloat16 resolves, above what another device or matrix kernel changes."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SaeSource(_Frozen):
    """Where one SAE comes from (exactly one of the three ways), and which weights it held."""

    release: str | None = None
    sae_id: str | None = None
    folder: str | None = None
    bundled: bool = False
    fingerprint: Annotated[str, Field(min_length=8)]

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        registry = (self.release is not None) + (self.sae_id is not None)
        if registry == 1 or (registry == 2) + (self.folder is not None) + self.bundled != 1:
            raise ValueError("name either release and sae_id, or folder, or bundled")
        return self

    @property
    def address(self) -> str | tuple[str, str] | None:
        """What `Session.load` takes; None for the bundled SAE."""
        if self.release is not None and self.sae_id is not None:
            return self.release, self.sae_id
        return self.folder


class SavedSample(_Frozen):
    """What came out once, for readers who do not run it."""

    prompt: str | tuple[Message, ...]
    baseline: str
    steered: str
    seed: int


class Preset(_Frozen):
    """One preset, as its file holds it."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Annotated[str, Field(pattern=f"^{SLUG}$")]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    description: Annotated[str, Field(max_length=600)] = ""
    model: Annotated[str, Field(min_length=1)]
    saes: dict[str, SaeSource]
    interventions: Annotated[tuple[Resolved, ...], Field(min_length=1)]
    sampling: Sampling = Sampling()
    prompts: tuple[str | tuple[Message, ...], ...] = ()
    samples: tuple[SavedSample, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for i, item in enumerate(self.interventions):
            watched = item.intervention.condition and item.intervention.condition.sae
            for alias in (item.sae, watched):
                if alias is not None and alias not in self.saes:
                    known = ", ".join(self.saes) or "none"
                    raise ValueError(f"interventions[{i}] needs SAE {alias!r}; saes has {known}")
            _check_number(f"interventions[{i}]", item)
        if len({source.bundled for source in self.saes.values()}) > 1:
            raise ValueError("bundled SAEs and others cannot be mixed: they are of one model")
        return self

    @property
    def is_bundled(self) -> bool:
        """True where it needs nothing but the bundled model."""
        return any(source.bundled for source in self.saes.values())

    @property
    def summary(self) -> str:
        """Every edit in a few words."""
        return "; ".join(item.intervention.label() for item in self.interventions)


def _check_number(where: str, item: Resolved) -> None:
    """Raise where the raw coefficient is not strength times what its unit counts."""
    asked = item.intervention
    for name in ("raw", "max_act", "median_norm"):
        value = getattr(item, name)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{where}.{name} is {value}; give a finite number")
    if asked.unit is None or asked.strength is None:
        return
    counted = {"max_act": item.max_act, "norm": item.median_norm, "raw": 1.0}[asked.unit]
    if counted is None or counted <= 0 or item.raw is None:
        missing = {"max_act": "max_act", "norm": "median_norm"}.get(asked.unit, "raw")
        raise ValueError(f"{where} is in unit {asked.unit!r}; give raw and {missing}, above 0")
    if not math.isclose(item.raw, asked.strength * counted, rel_tol=SAME_NUMBER):
        raise ValueError(
            f"{where}.raw is {item.raw:g}, and {asked.strength:g} × {asked.unit} comes to "
            f"{asked.strength * counted:g}; correct one of them"
        )


def load_preset(path_or_name: str | Path, folder: Path | None = None) -> Preset:
    """Read a preset by name, from the packaged ones or `folder`, or by the path of its file.

    Args:
        path_or_name: A name such as `golden-gate`, or a path that ends in `.json`.
        folder: A person's own presets; the platform's data folder if left out.

    Raises:
        PresetError: Unknown, unreadable, broken or newer than this program.
    """
    path = find_preset(path_or_name, folder)
    preset = read_preset(path)
    if isinstance(path_or_name, str) and not path_or_name.endswith(".json"):
        _check_name(preset, path)
    return preset


def read_preset(path: Path) -> Preset:
    """Read one preset file.

    Raises:
        PresetError: It cannot be read, is broken, or is newer than this program.
    """
    text, data = read_json(path)
    version = data.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise PresetError(
            f"Preset file {str(path)!r} has schema_version {version}, and this program reads "
            f"version {SCHEMA_VERSION}. Update the program."
        )
    if version is None:
        raise PresetError(
            f"Preset file {str(path)!r} is not valid: schema_version is missing. "
            f"Add it (this program reads version {SCHEMA_VERSION}), or save the preset again."
        )
    try:
        return Preset.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise PresetError(
            f"Preset file {str(path)!r} is not valid: {explain_invalid(error, Preset)}. "
            "Correct the file; it was left as it is."
        ) from error


def _check_name(preset: Preset, path: Path) -> None:
    if preset.name != path.stem:
        raise PresetError(
            f"The file {str(path)!r} holds a preset that is named {preset.name!r}. Rename the file "
            f"to '{preset.name}.json', or change the name in it."
        )


def save_preset(preset: Preset, folder: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write a preset into `folder`: wholly, or not at all.

    Args:
        preset: What to write.
        folder: The platform's data folder if left out.
        overwrite: Replace an older one of the same name; never one that cannot be read.

    Raises:
        PresetError: The name is taken or packaged, or the file cannot be written.
    """
    path = require_free(preset.name, folder, overwrite=overwrite)
    write_file(path, preset_text(preset))
    return path


def preset_text(preset: Preset) -> str:
    """A preset as its file holds it."""
    return preset.model_dump_json(indent=2, exclude_none=True) + "\n"


def require_free(name: str, folder: Path | None = None, *, overwrite: bool = False) -> Path:
    """Where a preset of this name would be written.

    Raises:
        PresetError: The name is taken or packaged, or what has it cannot be read.
    """
    path = place_for(name, folder)
    if path.exists():
        if not overwrite:
            raise PresetError(
                f"There is a preset {name!r} already ({str(path)!r}). "
                "Choose another name, or overwrite it (--overwrite)."
            )
        _check_name(read_preset(path), path)
    return path


def delete_preset(name: str, folder: Path | None = None) -> Path:
    """Delete one of a person's own presets, and say which file that was.

    Args:
        name: Its name; never a path.
        folder: The platform's data folder if left out.

    Raises:
        PresetError: Packaged, unknown, or a file that cannot be read as this preset: it stays.
    """
    path = place_for(name, folder)
    if not path.is_file():
        raise PresetError(
            f"There is no preset {name!r} of your own in {str(path.parent)!r}. "
            "`steer preset list` shows those that there are."
        )
    _check_name(read_preset(path), path)
    delete_file(path)
    return path


class Listed(_Frozen):
    """A line of a listing: a preset, or why its file cannot be read."""

    name: str
    path: Path
    packaged: bool
    preset: Preset | None = None
    problem: str | None = None


def list_presets(folder: Path | None = None) -> list[Listed]:
    """Every preset, the packaged ones first; a broken file is listed with its problem."""
    listed = []
    for path, packaged in preset_names(folder):
        about: dict[str, Any] = {"name": path.stem, "path": path, "packaged": packaged}
        try:
            preset = read_preset(path)
            _check_name(preset, path)
        except PresetError as error:
            listed.append(Listed(**about, problem=str(error)))
        else:
            listed.append(Listed(**about, preset=preset))
    return listed


def preset_json_schema() -> dict[str, Any]:
    """The JSON Schema of preset files, as published in `presets/schema.json`."""
    schema = Preset.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
