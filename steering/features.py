"""The small file beside an SAE that says what was measured of its features."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from steering.errors import LoadError


@dataclass(frozen=True)
class FeatureFacts:
    """What a features file knows of one feature."""

    max_act: float
    label: str | None = None
    target: str | None = None
    """What adding it has been shown to bring about."""

    density: float | None = None
    reading: str | None = None
    """The concept whose tokens it fires on, by F1; `reading_role` says whether that is the
    concept's name, a talk about it, or a tone."""
    reading_role: str | None = None
    reading_f1: float | None = None
    writing: str | None = None
    """The concept whose name it makes likelier, by `writing_gain` nats."""
    writing_gain: float | None = None


Key = TypeVar("Key", int, tuple[str, int])
"""A feature of one SAE by its index, or of several by alias and index."""

FEATURES_FILE = "features.json"
FEATURES_SCHEMA = 1


def read_features_file(folder: Path) -> dict[int, FeatureFacts]:
    """Read `features.json` beside an SAE: maxima measured on a corpus, and labels.

    Raises:
        LoadError: The file is broken, or of a newer version.
    """
    path = folder / FEATURES_FILE
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] != FEATURES_SCHEMA:
            raise LoadError(
                f"{path.name} in {folder.name!r} has version {data['schema_version']}, and this "
                f"program reads version {FEATURES_SCHEMA}. Update the program."
            )
        return {int(key): FeatureFacts(**facts) for key, facts in data["features"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{path.name} in {folder.name!r} cannot be read: {error!r}.") from error


def search_labels(facts: Mapping[Key, FeatureFacts], words: str, limit: int = 20) -> list[Key]:
    """Features whose label or target has, for every word, one that begins with it.

    Those with more of the words whole come first, then those shown to bring something about. No
    words find every feature that has a label or a target.
    """
    asked = _words(words)
    found = []
    for key, known in facts.items():
        own = _words(f"{known.label or ''} {known.target or ''}")
        if own and all(any(word.startswith(start) for word in own) for start in asked):
            found.append((-len(asked & own), known.target is None, key))
    return [key for _, _, key in sorted(found)[:limit]]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
