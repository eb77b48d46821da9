"""The small file beside an SAE that says what was measured of its features."""

import json
from dataclasses import dataclass
from pathlib import Path

from steering.errors import LoadError


@dataclass(frozen=True)
class FeatureFacts:
    """What a features file knows of one feature."""

    max_act: float
    label: str | None = None
    target_gain: float | None = None
    target: str | None = None
    density: float | None = None


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
