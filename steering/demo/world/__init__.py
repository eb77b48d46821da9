"""The data of the bundled world: concepts (CSV), frames, kinds of document and tones (TOML)."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """One TOML file of the world, by its path without the suffix."""
    return tomllib.loads((files(__name__) / f"{name}.toml").read_text("utf-8"))
