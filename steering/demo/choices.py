"""What was chosen for each claim, kept in the work folder: choosing takes a quarter of an hour.

A choice holds for the weights, the claim and the rule that it was made with, and for no others.
"""

import hashlib
import inspect
import json
from pathlib import Path

from steering.demo import tuning
from steering.demo.claims.asked import SampledClaim
from steering.interventions import Intervention
from steering.saving import replace_file

Choice = tuple[tuple[Intervention, ...], bool]
"""Edits, and whether their texts kept to the claim's bar."""
_WEIGHTS = ("model/model.safetensors", "sae/sae_weights.safetensors")


def kept_choice(folder: Path, bundle: Path, claim: SampledClaim) -> Choice | None:
    """What was chosen before for this bundle's weights, if it was."""
    file = folder / f"{claim.name}.json"
    if not file.exists():
        return None
    kept = json.loads(file.read_text(encoding="utf-8"))
    if kept["key"] != _key(bundle, claim):
        return None
    return tuple(map(Intervention.model_validate, kept["edits"])), kept["shows"]


def keep_choice(folder: Path, bundle: Path, claim: SampledClaim, choice: Choice) -> None:
    """Write down what was chosen."""
    edits, shows = choice
    kept = {
        "key": _key(bundle, claim),
        "edits": [edit.model_dump(mode="json") for edit in edits],
        "shows": shows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{claim.name}.json", json.dumps(kept, indent=2).encode())


def _key(bundle: Path, claim: SampledClaim) -> str:
    digest = hashlib.sha256()
    for name in _WEIGHTS:
        digest.update((bundle / name).read_bytes())
    digest.update(inspect.getsource(tuning).encode())
    digest.update(repr(claim).encode())
    return digest.hexdigest()
