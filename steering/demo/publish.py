"""Stage three: the bundle. Measures and labels every feature, and lays the files out.

Knows the files of the work folder and of the bundle; trains nothing. The manifest names seeds,
hashes, figures and versions, and no machine.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from sae_lens import SAE
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.atlas.labels import add_labels, truth_labels
from steering.atlas.map import name_clusters
from steering.atlas.places import ATLAS_FILE
from steering.atlas.store import Atlas
from steering.demo.corpus import HELD_OUT, held_out_rows
from steering.demo.dictionary import load_trunk, sae_folder
from steering.demo.evaluation import evaluate_sae
from steering.demo.features import GAIN_SIZE, Measured, features_record, measure, target_gains
from steering.demo.grammar import documents
from steering.demo.known import compact, plain, write_atlas
from steering.demo.labels import Writing, writing_gains
from steering.demo.processes import at_once
from steering.demo.recipe import Recipe, hook_name
from steering.demo.targets import STEERS, Target, targets
from steering.demo.tokens import render
from steering.demo.weights import rewrite_weights
from steering.demo.work_folder import WorkFolderError
from steering.presets import Preset
from steering.sae import Sae

_LIBRARIES = ("torch", "transformers", "tokenizers", "sae-lens", "safetensors")
_CALIBRATION = 120  # documents: some ten thousand tokens
_FIGURES = "figures.json"  # beside a measured SAE; they go into the manifest
_CANDIDATES = 4  # features named per target; gain finds them, only text shows which steer
_EVALUATED = 8_000  # tokens at least that SAELens's evaluation reads


def write_bundle(recipe: Recipe, work: Path, out: Path) -> Path:
    """Measure, score and lay out everything a fresh clone needs in `out`.

    A bundle that is there already stays until the new one is whole.

    Raises:
        WorkFolderError: `out` holds something that is no bundle.
    """
    if out.exists() and any(out.iterdir()) and not (out / "manifest.json").exists():
        raise WorkFolderError(
            f"{out} holds files and no manifest.json, so it is no bundle that a new one could "
            "replace. Give another --out."
        )
    new = out.with_name(f"{out.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    _lay_out(recipe, work, new)
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return out


def _lay_out(recipe: Recipe, work: Path, out: Path) -> None:
    figures: dict[str, Any] = {}
    shutil.copytree(_halved_model(work), out / "model")
    calls = [(recipe, work, layer) for layer in recipe.sae_layers]
    measured = at_once(recipe.processes, measured_sae, calls)
    for layer, folder in zip(recipe.sae_layers, measured, strict=True):
        files = shutil.ignore_patterns(_FIGURES)
        shutil.copytree(folder, bundled_sae_folder(recipe, out, layer), ignore=files)
        figures[hook_name(layer)] = json.loads((folder / _FIGURES).read_text())
    write_atlas(recipe, out)
    manifest = _manifest(recipe, work, out, figures)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _halved_model(work: Path) -> Path:
    folder = work / "model.halved"
    if not folder.exists():
        _copy_halved(work / "model", folder)
    return folder


def _copy_halved(source: Path, folder: Path) -> None:
    """Copy a model or SAE with its matrices in 16 bits, which load as float32 again.

    All that is measured afterwards is measured on what is shipped. Vectors stay: a threshold that
    is off by a little opens its latent elsewhere.
    """
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    for file in partial.glob("*.safetensors"):
        rewrite_weights(file, lambda _, value: value.half() if value.ndim > 1 else value)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def bundled_sae_folder(recipe: Recipe, out: Path, layer: int) -> Path:
    """The first SAE is `sae`, the page's and the presets'; others are named by their layer."""
    return out / ("sae" if layer == recipe.sae_layer else f"sae-layer-{layer}")


def measured_sae(recipe: Recipe, work: Path, layer: int) -> Path:
    """One SAE with its features, calibration text and figures; skipped once measured."""
    folder = work / f"{sae_folder(work, layer).name}.measured"
    if (folder / _FIGURES).exists():
        return folder
    _copy_halved(sae_folder(work, layer), folder)
    place = _halved_model(work)
    model = LlamaForCausalLM.from_pretrained(place)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(place)
    sae = SAE.load_from_disk(folder)
    seed = recipe.seed + HELD_OUT
    measured = measure(
        load_trunk(place, layer),
        tokenizer,
        sae,
        documents(seed, 10**9),
        layer=layer,
        tokens=recipe.measured_tokens,
    )
    size = GAIN_SIZE * measured.median_norm
    directions = torch.nn.functional.normalize(sae.W_dec.detach(), dim=-1)
    names, gains = writing_gains(model, tokenizer, directions, layer=layer, size=size)
    best = gains.max(-1)
    writings = [
        Writing(names[at], gain)
        for at, gain in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    # Presets steer the first SAE, so only its features are tried for what the claims need.
    wanted = targets(recipe.seed) if layer == recipe.sae_layer else ()
    chosen = _choose(model, tokenizer, directions, measured, layer, size, wanted)
    corpus = f"held-out documents of the bundled grammar, seed {seed}"
    record = features_record(measured, writings, corpus)
    _write_features(folder, record)
    (folder / "calibration.txt").write_text(calibration_text(recipe))
    rows = held_out_rows(recipe, tokenizer, min(_EVALUATED, recipe.measured_tokens))
    quality = evaluate_sae(folder, place, rows)
    figures = {
        "measured_tokens": measured.tokens,
        "l0": round(measured.l0, 2),
        "fvu": round(measured.fvu, 4),
        "dead": int((measured.fired == 0).sum()),
        "latents": len(directions),
        "median_resid_norm": round(measured.median_norm, 3),
        "candidates": _by_target(chosen),
        "saelens_evaluation": {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(quality).items()
        },
    }
    (folder / _FIGURES).write_text(json.dumps(figures))
    return folder


def name_steering(out: Path, shown: Iterable[Preset]) -> None:
    """Label the features of presets that show their claims with what they push towards.

    Gain alone promises too much: of the features that raise an answer's log-probability most, few
    ever make the model write it. A second call replaces what the first one wrote.
    """
    folder = out / "sae"
    record = json.loads((folder / "features.json").read_text())
    features: dict[str, dict[str, Any]] = record["features"]
    for entry in features.values():
        if entry.pop("target", None):
            entry["label"] = entry["label"].partition("; ")[2]
    claims: dict[str, list[str]] = {}
    for preset in shown:
        for edit in preset.interventions if preset.name in STEERS else ():
            claims.setdefault(str(edit.intervention.feature), []).append(preset.name)
    for feature, names in claims.items():
        pushes = " and ".join(STEERS[name] for name in names)
        features[feature]["label"] = f"pushes towards {pushes}; {features[feature]['label']}"
        features[feature]["target"] = ", ".join(names)
    _write_features(folder, record)
    sae = Sae.load(folder)
    with Atlas.open(folder / ATLAS_FILE, sae) as atlas:
        add_labels(atlas, truth_labels(sae.facts))
        name_clusters(atlas)
    compact(folder / ATLAS_FILE)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["presets_commit"] = _commit()
    manifest["sha256"] = _hashes(out)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _write_features(folder: Path, record: dict[str, Any]) -> None:
    (folder / "features.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


def calibration_text(recipe: Recipe) -> str:
    """A few held-out documents, on which norms and fit are read where no corpus is at hand."""
    found = documents(recipe.seed + HELD_OUT, _CALIBRATION)
    return "\n---\n".join(plain(render(each)) for each in found)


def _choose(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    directions: torch.Tensor,
    measured: Measured,
    layer: int,
    size: float,
    wanted: tuple[Target, ...],
) -> list[tuple[int, Target, float]]:
    """The features of largest gain for each target, among those that ever fire."""
    chosen: list[tuple[int, Target, float]] = []
    for target in wanted:
        gains = target_gains(model, tokenizer, directions, target, layer=layer, size=size)
        gains[measured.fired == 0] = -torch.inf
        best = gains.topk(min(_CANDIDATES, int((measured.fired > 0).sum())))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        chosen += [(index, target, gain) for index, gain in pairs]
    return chosen


def _by_target(chosen: list[tuple[int, Target, float]]) -> dict[str, dict[str, float]]:
    """The gain of each chosen feature, for `choose` to try them in texts."""
    found: dict[str, dict[str, float]] = {}
    for index, target, gain in chosen:
        found.setdefault(target.name, {})[str(index)] = round(gain, 3)
    return found


def _manifest(recipe: Recipe, work: Path, out: Path, saes: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "commands": [f"python -m steering.demo.train all --seed {recipe.seed}"],
        "commit": _commit(),
        "recipe": recipe.to_dict(),
        "corpus": json.loads((work / "corpus.json").read_text()),
        "language_model": json.loads((work / "model.json").read_text()),
        "saes": saes,
        "versions": {name: version(name) for name in _LIBRARIES},
        "sha256": _hashes(out),
    }


def _hashes(out: Path) -> dict[str, str]:
    files = sorted(f for f in out.rglob("*") if f.is_file() and f.name != "manifest.json")
    return {str(f.relative_to(out)): _sha256(f) for f in files}


def _commit() -> str:
    """The commit whose code made the files; marked where the code differed from it."""
    here = Path(__file__).parent
    asked = ["git", "rev-parse", "--short=12", "HEAD"]
    found = subprocess.run(asked, cwd=here, capture_output=True, text=True).stdout.strip()
    own = ["git", "status", "--porcelain", "--", ".", ":!bundle", ":!bundle.partial"]
    changed = subprocess.run(own, cwd=here, capture_output=True, text=True).stdout.strip()
    return (found or "unknown") + (" with changes" if changed else "")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
