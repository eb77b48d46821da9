"""What was chosen for each claim, kept in the work folder: choosing takes a quarter of an hour.

A choice holds for the weights, the claim, the candidates and the rule that it was made with, and
for no others.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steering.demo.claims.asked import SampledClaim
from steering.interventions import Intervention
from steering.saving import replace_file

Choice = tuple[tuple[Intervention, ...], bool]
"""Edits, and whether their texts kept to the claim's bar."""
_WEIGHTS = ("model/model.safetensors", "sae/sae_weights.safetensors")


@dataclass(frozen=True)
class Asked:
    """What is chosen for, from what, and by which rule."""

    bundle: Path
    claim: SampledClaim
    features: Sequence[int]
    """The candidates."""
    rule: str
    """The source of what chooses."""

    @property
    def key(self) -> str:
        """Differs where anything does that the choice follows from."""
        digest = hashlib.sha256()
        for name in _WEIGHTS:
            digest.update((self.bundle / name).read_bytes())
        for part in (repr(self.claim), repr(list(self.features)), self.rule):
            digest.update(part.encode())
        return digest.hexdigest()


def kept_choice(folder: Path, asked: Asked) -> Choice | None:
    """What was chosen before, if the same was asked."""
    file = folder / f"{asked.claim.name}.json"
    if not file.exists():
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    if kept["key"] != asked.key:
        return None
    return tuple(map(Intervention.model_validate, kept["edits"])), kept["shows"]


def keep_choice(folder: Path, asked: Asked, choice: Choice) -> None:
    """Write down what was chosen."""
    edits, shows = choice
    kept = {
        "key": asked.key,
        "edits": [edit.model_dump(mode="json") for edit in edits],
        "shows": shows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{asked.claim.name}.json", json.dumps(kept, indent=2).encode())
