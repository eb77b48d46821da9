"""Which model and SAEs the flags, a preset or a pasted address ask for, and loading them."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

from steering.cli.parse import name_saes, parse_sae
from steering.errors import LoadError
from steering.requests import ONLY

if TYPE_CHECKING:
    from steering.presets import Preset
    from steering.session import Session


@dataclass(frozen=True)
class Place:
    """The flags that say what to load, and where."""

    model: str | None = None
    saes: tuple[str, ...] = ()
    device: str | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Source:
    """What to load: a model and SAEs by alias, or the bundled pair (model None)."""

    model: str | None = None
    saes: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)


def choose_source(
    place: Place, preset: "Preset | None" = None, addresses: Sequence[str] = ()
) -> Source:
    """What to load, from the flags first, then the preset, then Neuronpedia addresses.

    Raises:
        SteeringError: What was given does not say which model or SAE to load.
    """
    saes = name_saes([parse_sae(text) for text in place.saes], _alias_for_one(preset))
    if preset is not None:
        return _source_with_preset(preset, place.model, saes)
    if saes:
        return Source(place.model or _model_for(saes), saes)
    if addresses:
        return _source_of_addresses(addresses, place.model)
    if place.model is not None:
        raise LoadError(
            f"--model {place.model!r} comes without an SAE. Give one with --sae RELEASE:SAE_ID "
            "or --sae FOLDER; leave --model out for the bundled model and SAE."
        )
    return Source()


def _alias_for_one(preset: "Preset | None") -> str:
    return next(iter(preset.saes)) if preset and len(preset.saes) == 1 else ONLY


def _source_with_preset(
    preset: "Preset", model: str | None, saes: Mapping[str, str | tuple[str, str]]
) -> Source:
    if preset.is_bundled and not (model or saes):
        return Source()
    if preset.is_bundled and not (model and saes):
        raise LoadError(
            f"Preset {preset.name!r} belongs to the bundled model and SAE. Leave --model and --sae "
            "out, or give both, and --force."
        )
    own = {alias: source.address for alias, source in preset.saes.items()}
    return Source(model or preset.model, saes or {a: s for a, s in own.items() if s is not None})


def _model_for(saes: Mapping[str, str | tuple[str, str]]) -> str:
    from steering.cli.registry import model_of_release

    source = next(iter(saes.values()))
    if isinstance(source, str):
        raise LoadError(
            f"The SAE folder {source!r} does not say where its model is. Give it with --model."
        )
    return model_of_release(source[0])


def _source_of_addresses(addresses: Sequence[str], model: str | None) -> Source:
    from steering.cli.registry import find_address

    entries = {address: find_address(address) for address in addresses}
    models = {entry.model for entry in entries.values()}
    if model is None and len(models) > 1:
        raise LoadError(
            f"The Neuronpedia addresses are of several models: {', '.join(sorted(models))}. "
            "Use features of one model."
        )
    several = len(entries) > 1
    return Source(
        model or models.pop(),
        {
            address.rpartition("/")[2] if several else ONLY: (entry.release, entry.sae_id)
            for address, entry in entries.items()
        },
    )


def load_session(source: Source, place: Place) -> "Session":
    """Load what is needed; whatever other libraries print on the way goes to standard error."""
    if source.model is None and (place.device or place.dtype):
        raise LoadError(
            "The bundled model runs on the CPU in float32. Leave --device and --dtype out, or give "
            "--model and --sae."
        )
    if sys.stderr.isatty():
        typer.echo(f"Loading {source.model or 'the bundled model'} …", err=True)
    with redirect_stdout(sys.stderr):
        from transformers.utils import logging

        from steering.session import Session

        if source.model is None or not sys.stderr.isatty():
            logging.disable_progress_bar()
        if source.model is None:
            return Session.demo()
        dtype = place.dtype or "float32"
        return Session.load(source.model, source.saes, device=place.device, dtype=dtype)
