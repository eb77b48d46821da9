"""What the packaged presets and the bundle hold, as data: retraining changes features."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "presets"
FEATURES = ROOT / "steering" / "demo" / "bundle" / "sae" / "features.json"


def edits(preset: str) -> list[dict[str, Any]]:
    """A preset's edits with their raw coefficients, as its file holds them."""
    return json.loads((FOLDER / f"{preset}.json").read_text())["interventions"]


BRIDGE: dict[str, Any] = edits("golden-gate")[0]
FEATURE: int = BRIDGE["intervention"]["feature"]
STRENGTH: float = BRIDGE["intervention"]["strength"]
RAW: float = BRIDGE["raw"]


def best_reader(concept: str) -> int:
    """The feature whose firing tells a concept's tokens best."""
    features: dict[str, dict[str, Any]] = json.loads(FEATURES.read_text())["features"]
    its = {key: each["reading_f1"] for key, each in features.items() if each["reading"] == concept}
    return int(max(its, key=lambda key: its[key]))


READER = best_reader("the Golden Gate Bridge")
