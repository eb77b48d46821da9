"""What the packaged presets hold, read as data: retraining changes features and strengths."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "presets"


def edits(preset: str) -> list[dict[str, Any]]:
    """A preset's edits with their raw coefficients, as its file holds them."""
    return json.loads((FOLDER / f"{preset}.json").read_text())["interventions"]


BRIDGE: dict[str, Any] = edits("golden-gate")[0]
FEATURE: int = BRIDGE["intervention"]["feature"]
STRENGTH: float = BRIDGE["intervention"]["strength"]
RAW: float = BRIDGE["raw"]
