"""The bundle: the finished model, SAE, features and manifest as package data.

Knows the files of the work folder and of the bundle; trains nothing. The manifest names seeds,
hashes, figures and versions, and no machine.
"""

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sae_lens import SAE
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.corpus import HELD_OUT, held_out_rows
from steering.demo.dictionary import load_trunk
from steering.demo.features import (
    TARGETS,
    Measured,
    Target,
    features_record,
    measure,
    target_gains,
)
from steering.demo.grammar import documents
from steering.demo.recipe import Recipe
from steering.demo.tokens import render

_LIBRARIES = ("torch", "transformers", "tokenizers", "sae-lens", "safetensors")
_CALIBRATION = 120  # documents: some four thousand tokens
_NAMED = 5  # labelled features per target; gain finds candidates, only text shows which steer
GAIN_SIZE = 0.6  # of the median residual norm: where single features steer without breaking text


def write_bundle(recipe: Recipe, work: Path, out: Path) -> Path:
    """Measure, score and lay out everything a fresh clone needs in `out`."""
    model = LlamaForCausalLM.from_pretrained(work / "model")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "model")
    sae = SAE.load_from_disk(work / "sae")
    rows = held_out_rows(recipe, tokenizer, int(recipe.measured_tokens * 1.05))
    trunk = load_trunk(work / "model", recipe.sae_layer)
    measured = measure(trunk, sae, rows, recipe.sae_layer)
    chosen = _choose(model, tokenizer, sae, measured, recipe)
    for name in ("model", "sae"):
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.copytree(work / name, out / name)
    corpus = f"held-out documents of the bundled grammar, seed {recipe.seed + HELD_OUT}"
    record = features_record(measured, corpus, chosen)
    (out / "sae" / "features.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    (out / "sae" / "calibration.txt").write_text(calibration_text(recipe))
    manifest = _manifest(recipe, work, out, measured)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return out


def calibration_text(recipe: Recipe) -> str:
    """A few held-out documents, on which norms and fit are read where no corpus is at hand."""
    found = documents(recipe.seed + HELD_OUT, _CALIBRATION)
    return "\n---\n".join(render(each).removeprefix("<s>").removesuffix("</s>") for each in found)


def _choose(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    sae: SAE[Any],
    measured: Measured,
    recipe: Recipe,
) -> list[tuple[int, Target, float]]:
    """The features of largest gain for each target, among those that ever fire."""
    directions = torch.nn.functional.normalize(sae.W_dec.detach(), dim=-1)
    size = GAIN_SIZE * measured.median_norm
    chosen: list[tuple[int, Target, float]] = []
    for target in TARGETS:
        gains = target_gains(
            model, tokenizer, directions, target, layer=recipe.sae_layer, size=size
        )
        gains[measured.fired == 0] = -torch.inf
        best = gains.topk(_NAMED)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        chosen += [(index, target, gain) for index, gain in pairs]
    return chosen


def _manifest(recipe: Recipe, work: Path, out: Path, measured: Measured) -> dict[str, Any]:
    files = sorted(f for f in out.rglob("*") if f.is_file() and f.name != "manifest.json")
    return {
        "schema_version": 1,
        "commands": ["python -m steering.demo.train all"],
        "recipe": recipe.to_dict(),
        "corpus": json.loads((work / "corpus.json").read_text()),
        "language_model": json.loads((work / "model.json").read_text()),
        "sae": {
            "hook_name": recipe.hook_name,
            "measured_tokens": measured.tokens,
            "l0": round(measured.l0, 2),
            "fvu": round(measured.fvu, 4),
            "dead": int((measured.fired == 0).sum()),
            "median_resid_norm": round(measured.median_norm, 3),
        },
        "versions": {name: version(name) for name in _LIBRARIES},
        "sha256": {str(f.relative_to(out)): _sha256(f) for f in files},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
