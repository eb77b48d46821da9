"""The shipped files are what they say: loadable by the libraries, small, and measured truly."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from sae_lens import SAE
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.claims.report import claim_presets
from steering.demo.concepts import BRIDGE
from steering.demo.corpus import held_out_rows
from steering.demo.dictionary import residuals
from steering.demo.grammar import documents
from steering.demo.recipe import SHIPPED
from steering.demo.targets import STEERS
from steering.demo.tokens import SPECIAL, render
from steering.sae import Sae

BUNDLE = Path(__file__).parents[2] / "steering" / "demo" / "bundle"


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(BUNDLE / "model")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(BUNDLE / "model")


@pytest.fixture(scope="module")
def sae() -> SAE[Any]:
    return SAE.load_from_disk(BUNDLE / "sae")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((BUNDLE / "sae" / "features.json").read_text())


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads((BUNDLE / "manifest.json").read_text())


def test_the_bundle_is_at_most_40_megabytes() -> None:
    assert sum(f.stat().st_size for f in BUNDLE.rglob("*") if f.is_file()) <= 40_000_000


def test_every_file_has_the_hash_in_the_manifest(manifest: dict[str, Any]) -> None:
    found = {
        str(f.relative_to(BUNDLE)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in BUNDLE.rglob("*")
        if f.is_file() and f.name != "manifest.json"
    }
    assert found == manifest["sha256"]


def test_the_manifest_names_the_recipe_and_the_commit_that_made_it_and_no_machine(
    manifest: dict[str, Any], sae: SAE[Any]
) -> None:
    assert manifest["recipe"]["seed"] == 0
    # Trained with as many; those that fired on nothing it was trained on are left out.
    assert 0.7 < sae.cfg.d_sae / manifest["recipe"]["latents"][0] <= 1
    assert re.fullmatch(r"[0-9a-f]{7,40}", manifest["commit"])
    assert "/" not in json.dumps({k: v for k, v in manifest.items() if k != "sha256"})


def test_model_and_sae_agree_on_width_and_place(
    model: LlamaForCausalLM, sae: SAE[Any], manifest: dict[str, Any]
) -> None:
    assert sae.cfg.d_in == model.config.hidden_size
    assert f'"{sae.cfg.metadata.hook_name}"' in json.dumps(manifest)
    assert sae.cfg.metadata.prepend_bos is True
    assert sae.cfg.architecture() == "jumprelu"


def test_the_names_around_the_bridge_are_one_token_each(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for name in (BRIDGE, "San Francisco", "Alcatraz", "the Presidio", "the Eiffel Tower"):
        assert len(tokenizer(f" {name}", add_special_tokens=False)["input_ids"]) == 1, name


def test_the_chat_template_writes_what_the_model_was_trained_on(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    talks = [d for d in documents(5, 100) if d.turns[0].role != "text"]
    for talk in talks:
        messages = [{"role": t.role, "content": t.content} for t in talk.turns]
        assert tokenizer.apply_chat_template(messages, tokenize=False) == render(talk)


def test_features_json_covers_the_sae_and_agrees_with_it(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    sae: SAE[Any],
    record: dict[str, Any],
) -> None:
    """On other documents no activation is far above its maximum, and no unlisted feature fires."""
    rows = held_out_rows(SHIPPED, tokenizer, 5_000)[:40]
    norms = sae.W_dec.norm(dim=-1)
    highest = torch.zeros(sae.cfg.d_sae)
    with torch.no_grad():
        for resid, ids in residuals(model, rows, _layer(sae)):
            acts = sae.encode(resid[ids >= len(SPECIAL)]) * norms
            highest = torch.maximum(highest, acts.amax(0))
    listed = {int(index): entry for index, entry in record["features"].items()}
    fired = highest.nonzero()[:, 0].tolist()
    assert record["schema_version"] == 1
    assert record["tokens"] >= 1_000_000
    assert set(listed) <= set(range(sae.cfg.d_sae))
    assert len([i for i in fired if i not in listed]) <= 2
    above = [i for i in fired if i in listed and highest[i] > 1.25 * listed[i]["max_act"]]
    assert above == []


@pytest.mark.parametrize("claim", STEERS)
def test_the_features_of_each_claims_preset_are_labelled_with_what_they_push_towards(
    record: dict[str, Any], claim: str
) -> None:
    edits = [each.intervention for each in claim_presets()[claim].interventions]
    for edit in edits:
        entry = record["features"][str(edit.feature)]
        assert entry["label"].startswith("pushes towards ")
        assert STEERS[claim] in entry["label"]
        assert claim in entry["target"].split(", ")


def _layer(sae: SAE[Any]) -> int:
    return int(sae.cfg.metadata.hook_name.split(".")[1])


def test_the_atlas_was_counted_on_this_sae_and_names_no_machine(
    sae: SAE[Any], manifest: dict[str, Any]
) -> None:
    with closing(
        sqlite3.connect(f"file:{BUNDLE / 'sae' / 'atlas.sqlite'}?mode=ro", uri=True)
    ) as at:
        about = {key: json.loads(value) for key, value in at.execute("SELECT * FROM about")}
    assert about["fingerprint"] == Sae.load(BUNDLE / "sae").fingerprint
    assert about["d_sae"] == sae.cfg.d_sae
    assert about["tokens"] >= manifest["recipe"]["atlas_tokens"]
    assert not [value for value in about.values() if isinstance(value, str) and "/" in value]
