"""Real names and file formats, every loader unmocked, against a local stand-in for the hub.

The hub's address is read at import, so everything happens in three subprocesses: one steers the
three models, one meets what goes wrong with a repository, one finds no hub at all.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hub import repositories
from tests.hub.repositories import GEMMA, GPT2, GPT2_SAE, LLAMA
from tests.hub.standin import Fault, Hub, Repository, serving

HERE = Path(__file__).parent
LIMIT = 120
"""Seconds after which a subprocess is taken to hang."""

TRIPLES = {
    "gpt2": ("gpt2", "gpt2-small-res-jb", "blocks.8.hook_resid_pre"),
    "gemma": (GEMMA, "gemma-scope-2b-pt-res-canonical", "layer_1/width_16k/canonical"),
    "llama": (LLAMA, "llama_scope_lxr_8x", "l1r_8x"),
}
SAE = ("gpt2-small-res-jb", "blocks.8.hook_resid_pre")
SAE_ID = "blocks.8.hook_resid_pre"
MISSING = "nobody/nothing"

Outcome = dict[str, Any]


def case(model: str, sae: tuple[str, str] = SAE, **how: object) -> str:
    return json.dumps({"model": model, "sae": sae, **how})


FAULTS = {
    "gated model": case("gated/llama"),
    "gated model, token without access": case("gated/llama", token="hf_stranger"),
    "gated SAE": case("gpt2", ("gated/sae", SAE_ID)),
    "missing model": case(MISSING),
    "missing model, with a token": case(MISSING, token="hf_friend"),
    "missing SAE repository": case("gpt2", (MISSING, SAE_ID)),
    "missing SAE file": case("gpt2", (SAE[0], "blocks.7.hook_resid_pre")),
    "unknown release": case("gpt2", ("gpt2-small-res-xx", SAE_ID)),
    "unknown SAE id": case("gpt2", (SAE[0], "blocks.99.hook_resid_pre")),
    "model without weights": case("weightless/gpt2"),
    "slow": case("slow/gpt2", ("slow/sae", SAE_ID)),
    "broken off once": case("flaky/gpt2", ("flaky/sae", SAE_ID)),
    "model broken off": case("broken/llama"),
    "SAE broken off": case("gpt2", ("broken/sae", SAE_ID)),
    "command line, gated": case("gated/llama", token="hf_stranger", command_line=True),
    "command line, missing": case(MISSING, token="hf_friend", command_line=True),
}
UNREACHABLE = {
    "nobody listens": case(MISSING),
    "nobody listens, SAE": case("gpt2", (GPT2_SAE, "blocks.1.hook_resid_pre")),
    "nobody listens, all in the cache": case("gpt2"),
    "command line, nobody listens": case(MISSING, command_line=True),
}
SILENT = {"nobody answers": case(MISSING)}


@dataclass(frozen=True)
class Runs:
    """The subprocesses, running or finished, and the hub they talk to."""

    hub: Hub
    steered: Future[dict[str, Outcome]]
    faults: Future[dict[str, Outcome]]
    unreachable: Future[dict[str, Outcome]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    root = tmp_path_factory.mktemp("hub")
    with serving(_repositories(root), repositories.ALIASES) as hub, ThreadPoolExecutor() as pool:
        homes = root / "home", root / "faulty-home"
        steered = pool.submit(_steer, hub, homes[0])
        faults = pool.submit(_attempt, FAULTS, list(FAULTS.values()), _environment(hub, homes[1]))
        yield Runs(hub, steered, faults, pool.submit(_find_no_hub, steered, hub, homes[0]))
    shutil.rmtree(root)


def _repositories(root: Path) -> list[Repository]:
    """The real names as they are, and the same folders under names with something wrong."""
    folders = repositories.write_repositories(root)
    weightless = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(folders[GPT2], root / "weightless", ignore=weightless)
    return [
        *(Repository(name, folder) for name, folder in folders.items()),
        Repository("weightless/gpt2", root / "weightless"),
        Repository("gated/llama", folders[LLAMA], Fault.GATED),
        Repository("gated/sae", folders[GPT2_SAE], Fault.GATED),
        Repository("slow/gpt2", folders[GPT2], Fault.SLOW),
        Repository("slow/sae", folders[GPT2_SAE], Fault.SLOW),
        Repository("flaky/gpt2", folders[GPT2], Fault.BROKEN_ONCE),
        Repository("flaky/sae", folders[GPT2_SAE], Fault.BROKEN_ONCE),
        Repository("broken/llama", folders[LLAMA], Fault.BROKEN_OFF),
        Repository("broken/sae", folders[GPT2_SAE], Fault.BROKEN_OFF),
    ]


def _steer(hub: Hub, home: Path) -> dict[str, Outcome]:
    triples = [json.dumps(triple) for triple in TRIPLES.values()]
    return _run("steer_from_hub.py", TRIPLES, triples, _environment(hub, home))


def _attempt(
    cases: Mapping[str, str], arguments: list[str], environment: dict[str, str]
) -> dict[str, Outcome]:
    return _run("load_from_hub.py", cases, arguments, environment)


def _find_no_hub(steered: Future[dict[str, Outcome]], hub: Hub, home: Path) -> dict[str, Outcome]:
    """With the cache that steering left behind."""
    steered.result()
    arguments = ["--unreachable", *UNREACHABLE.values(), "--silent", *SILENT.values()]
    return _attempt(UNREACHABLE | SILENT, arguments, _environment(hub, home))


def _run(
    script: str, names: Mapping[str, object], arguments: list[str], environment: dict[str, str]
) -> dict[str, Outcome]:
    """The lines of JSON that the script wrote, by name; fewer where it hung or crashed."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    found = dict(zip(names, map(json.loads, out.splitlines()), strict=False))
    lost = {"error": "no outcome", "text": f"{script} hung or crashed.\n{err[-4000:]}"}
    return {name: found.get(name, lost) for name in names}


def _environment(hub: Hub, home: Path) -> dict[str, str]:
    """This one without anything that points elsewhere, one thread for each of two processes."""
    ours = ("HF_", "HUGGING", "TRANSFORMERS_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    kept = {k: v for k, v in kept.items() if not k.lower().endswith("_proxy")}
    path = [str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path),
    }


@pytest.mark.parametrize("name", TRIPLES)
def test_a_model_with_its_sae_is_steered_from_the_hub(runs: Runs, name: str) -> None:
    record = runs.steered.result()[name]
    baseline, added, clamped = _rows(record)
    for steered in (added, clamped):
        assert steered["logprobs"] != baseline["logprobs"]
        assert steered["liveness"]["hook_calls"] > 0
        assert steered["liveness"]["tokens_steered"] > 0
        assert steered["liveness"]["first_difference"] == 0
        assert len(steered["token_ids"]) == 5
    assert baseline["liveness"]["tokens_steered"] == 0


@pytest.mark.parametrize("name", TRIPLES)
def test_the_record_names_what_was_loaded_and_warns_of_nothing(runs: Runs, name: str) -> None:
    record = runs.steered.result()[name]
    model, *sae = TRIPLES[name]
    assert record["model"]["name"] == model
    assert [described["name"] for described in record["saes"].values()] == ["/".join(sae)]
    assert record["warnings"] == []


@pytest.mark.parametrize("name", TRIPLES)
def test_the_numbers_are_the_textbooks(runs: Runs, name: str) -> None:
    """Encode, edit, keep the error: by transformers and SAELens alone, without a cache."""
    record = runs.steered.result()[name]
    for row in _rows(record):
        assert row["logprobs"] == pytest.approx(record["textbook"][row["name"]], abs=1e-4)


@pytest.mark.parametrize("name", TRIPLES)
def test_a_prompt_begins_with_one_bos_as_its_sae_was_trained(runs: Runs, name: str) -> None:
    record = runs.steered.result()[name]
    for row in _rows(record):
        assert row["prompt_ids"].count(record["bos"]) == 1
        assert row["prompt_ids"][0] == record["bos"]


@pytest.mark.parametrize("name", TRIPLES)
def test_weights_are_downloaded_once(runs: Runs, name: str) -> None:
    runs.steered.result()
    model = repositories.ALIASES.get(TRIPLES[name][0], TRIPLES[name][0])
    asked = Counter(line for line in runs.hub.log if line.startswith(f"GET /cdn/{model}/"))
    assert asked, "a test on files that nobody asked for proves nothing"
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("name", ["slow", "broken off once"])
def test_a_slow_or_interrupted_download_goes_through(runs: Runs, name: str) -> None:
    outcome = runs.faults.result()[name]
    assert outcome["error"] is None, outcome["text"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gated model", ["gated/llama", "licence", "HF_TOKEN"]),
        ("gated model, token without access", ["gated/llama", "licence"]),
        ("gated SAE", ["gated/sae", "licence", "HF_TOKEN"]),
        ("missing model", [MISSING, "spelling"]),
        ("missing model, with a token", [MISSING, "spelling"]),
        ("missing SAE repository", [MISSING, "spelling"]),
        ("missing SAE file", [SAE[0], "blocks.7.hook_resid_pre"]),
        ("unknown release", ["gpt2-small-res-xx", "gpt2-small-res-jb"]),
        ("unknown SAE id", ["blocks.99.hook_resid_pre", SAE[0]]),
        ("model without weights", ["weightless/gpt2", "safetensors"]),
        ("model broken off", ["broken/llama", "broke off", "again"]),
        ("SAE broken off", ["broken/sae", "broke off", "again"]),
    ],
)
def test_a_fault_names_what_was_asked_for_and_what_to_do(
    runs: Runs, name: str, said: list[str]
) -> None:
    outcome = runs.faults.result()[name]
    assert outcome["error"] in {"LoadError", "HubError"}, outcome["text"]
    for words in said:
        assert words in outcome["text"]


def test_a_model_without_safetensors_is_not_sent_to_be_converted(runs: Runs) -> None:
    """Transformers would ask a public service to convert it, with the reader's token."""
    runs.faults.result()
    asked = [line for line in runs.hub.log if "weightless/gpt2" in line]
    assert asked, "a test on a repository that nobody asked for proves nothing"
    assert not [line for line in asked if "/commits/" in line or "/discussions" in line]


@pytest.mark.parametrize("name", ["nobody listens", "nobody listens, SAE", "nobody answers"])
def test_an_unreachable_hub_says_so_soon_and_names_the_bundled_model(runs: Runs, name: str) -> None:
    outcome = runs.unreachable.result()[name]
    assert outcome["error"] == "HubError", outcome["text"]
    assert "reach" in outcome["text"]
    assert "Session.demo()" in outcome["text"]
    assert outcome["seconds"] < 30


def test_what_is_in_the_cache_needs_no_hub(runs: Runs) -> None:
    outcome = runs.unreachable.result()["nobody listens, all in the cache"]
    assert outcome["error"] is None, outcome["text"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("command line, gated", ["gated/llama", "licence"]),
        ("command line, missing", [MISSING, "spelling"]),
        ("command line, nobody listens", ["reach", "Session.demo()"]),
    ],
)
def test_the_command_line_ends_with_code_2_and_no_traceback(
    runs: Runs, name: str, said: list[str]
) -> None:
    outcome = {**runs.faults.result(), **runs.unreachable.result()}[name]
    assert outcome["exit_code"] == 2, outcome["text"]
    assert "Traceback" not in outcome["text"]
    for words in said:
        assert words in " ".join(outcome["text"].split())


def _rows(record: Outcome) -> list[Outcome]:
    """Of the outcome of a run that must have worked."""
    assert "rows" in record, record["text"]
    return record["rows"]
