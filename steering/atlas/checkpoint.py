"""How far a build has come, written down so that it can be taken up after a kill.

One file beside the atlas, replaced in one motion: after a crash it is the old one or the new one.
"""

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from steering.atlas.tally import Tally
from steering.errors import AtlasError


@dataclass(frozen=True)
class Recipe:
    """What a build counts; one that was begun with another recipe cannot be taken up."""

    fingerprint: str
    model: str
    text: str
    tokens: int | None
    row_tokens: int
    dtype: str


@dataclass
class Progress:
    """A tally, and the place in the text up to which it counts."""

    tally: Tally
    groups: int = 0
    digest: str = ""
    """Of every token up to there."""


def checkpoint_path(atlas: Path) -> Path:
    """Where the progress of a build lies."""
    return atlas.with_name(f"{atlas.name}.building")


def save(atlas: Path, recipe: Recipe, progress: Progress) -> None:
    """Write progress down, wholly or not at all.

    Raises:
        AtlasError: The disk is full, or the folder cannot be written.
    """
    path = checkpoint_path(atlas)
    about = {"recipe": asdict(recipe), "groups": progress.groups, "digest": progress.digest}
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            arrays = {"about": np.array(json.dumps(about)), **progress.tally.arrays()}
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise AtlasError(
            f"The build of {str(atlas)!r} stops, since its progress cannot be written: "
            f"{error.strerror}. The atlas is as it was; make room and run the same command."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load(atlas: Path, recipe: Recipe) -> Progress | None:
    """The progress of an earlier build with this recipe, where there was one.

    Raises:
        AtlasError: An earlier build had another recipe, or its file cannot be read.
    """
    path = checkpoint_path(atlas)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        about = json.loads(str(arrays.pop("about")))
        had = Recipe(**about["recipe"])
        progress = Progress(Tally.of(arrays), about["groups"], about["digest"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise AtlasError(
            f"The progress in {str(path)!r} cannot be read ({error!r}). Begin anew with --restart."
        ) from error
    if had != recipe:
        other = [
            f"{name} {asdict(had)[name]!r} (asked: {value!r})"
            for name, value in asdict(recipe).items()
            if asdict(had)[name] != value
        ]
        raise AtlasError(
            f"A build of {str(atlas)!r} was begun with {', '.join(other)}. Run that command to "
            "finish it, or begin anew with --restart."
        )
    return progress
