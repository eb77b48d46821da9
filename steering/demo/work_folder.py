"""Whose a work folder is: what lies in it was made by one recipe from one world.

Stages skip what is finished. Without this, a short training after an edit of the world would show
the figures of the world before, and a long one after a short one would ship the small model.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from steering.demo.recipe import Recipe
from steering.errors import SteeringError
from steering.saving import replace_file

_MADE_BY = "made-by.json"
_WORLD = Path(__file__).parent / "world"


class WorkFolderError(SteeringError, ValueError):
    """A folder that holds something else than this training's own files."""


def enter(recipe: Recipe, work: Path) -> None:
    """Take a work folder for a recipe, or go on in it.

    Raises:
        WorkFolderError: It holds the files of another recipe, or of another world.
    """
    ours = _maker(recipe)
    record = work / _MADE_BY
    if not record.exists():
        work.mkdir(parents=True, exist_ok=True)
        replace_file(record, (json.dumps(ours, indent=2) + "\n").encode())
        return
    theirs = json.loads(record.read_text(encoding="utf-8"))
    differing = [key for key in ours if theirs.get(key) != ours[key]]
    if differing:
        first = differing[0]
        raise WorkFolderError(
            f"The work folder {work} was made with another {', '.join(differing)} ({first}: "
            f"{theirs.get(first)!r} there, {ours[first]!r} now). Give --fresh to begin anew, or "
            "another --work."
        )


def forget(work: Path) -> None:
    """Delete a work folder.

    Raises:
        WorkFolderError: It is not one.
    """
    if work.exists() and any(work.iterdir()) and not (work / _MADE_BY).exists():
        raise WorkFolderError(
            f"{work} is no work folder: it has no {_MADE_BY}. Delete it yourself if that is meant, "
            "or give another --work."
        )
    shutil.rmtree(work, ignore_errors=True)


def _maker(recipe: Recipe) -> dict[str, Any]:
    """What decides what a stage makes; how many processes share the work does not."""
    made = {key: value for key, value in recipe.to_dict().items() if key != "processes"}
    digest = hashlib.sha256()
    for file in sorted(_WORLD.rglob("*")):
        if file.suffix in (".toml", ".csv"):
            digest.update(file.read_bytes())
    return json.loads(json.dumps({**made, "world": digest.hexdigest()}))
