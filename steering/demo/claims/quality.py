"""How good the model itself is, and its SAE: typed questions, grammar, what the SAE explains.

Nothing is steered. An answer is on topic when it names the concept asked about, one of its
neighbours, or something that the world knows of it; the questions (`world/typed.csv`) follow no
pattern of the frames.
"""

import csv
import json
import time
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from steering.demo.claims.asked import SAMPLES, Bar, at_least, at_most
from steering.demo.claims.results import ClaimResult, Outcome
from steering.demo.claims.sampled import ask, thinned
from steering.demo.concepts import Concept, by_name
from steering.demo.corpus import held_out_rows
from steering.demo.evaluation import evaluate_sae
from steering.demo.parsing import is_grammatical, sentences
from steering.demo.recipe import SHIPPED
from steering.hook_points import HookPoint
from steering.interventions import Sampling
from steering.measure.rates import Rate
from steering.requests import RowRequest
from steering.sae import Sae
from steering.session import Session

ON_TOPIC, GRAMMATICAL = 0.9, 0.9
_EVALUATED = 2_500  # tokens at least; with whole documents, twice as many
_SAMPLING = Sampling(max_new_tokens=40, temperature=0.6, stop=("Human:", "Assistant:"))


@cache
def typed_questions() -> tuple[tuple[str, Concept], ...]:
    """Each question with the concept that it is about."""
    text = (files("steering.demo.world") / "typed.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple((row["question"], by_name()[row["concept"]]) for row in rows)


def is_on_topic(answer: str, concept: Concept) -> bool:
    """Whether the answer names the concept, a neighbour, or an attribute of it."""
    return concept.topic.search(answer) is not None


def measure_quality(session: Session, *, seed: int, samples: int = SAMPLES) -> ClaimResult:
    """Answer every typed question once, or as many as there are samples, evenly from the list."""
    started = time.perf_counter()
    asked = thinned(typed_questions(), samples)
    rows = [RowRequest(str(at), ask(question)) for at, (question, _) in enumerate(asked)]
    stream = session.stream_rows(rows, _SAMPLING.model_copy(update={"seed": seed}))
    texts = [row.text for row in stream.finish().rows]
    hits = sum(is_on_topic(t, concept) for t, (_, concept) in zip(texts, asked, strict=True))
    parsed = [is_grammatical(sentence) for text in texts for sentence in sentences(text)]
    return ClaimResult(
        name="model-quality",
        seed=seed,
        prompts=tuple(question for question, _ in asked),
        study="the model itself answers what a visitor types",
        measured=f"{len(asked)} typed questions of a kind that is not in the frames, unsteered",
        edits="",
        outcomes=(
            _outcome("answers on topic", Rate(hits, len(asked)), ON_TOPIC),
            _outcome(
                "sentences that the grammar can write",
                Rate(sum(parsed), max(1, len(parsed))),
                GRAMMATICAL,
            ),
            Outcome(
                "held-out loss, nats a token",
                f"{_manifest(_bundle(session))['language_model']['held_out_loss']:.2f}",
                "no bar",
                True,
            ),
        ),
        seconds=time.perf_counter() - started,
    )


def measure_sae_quality(session: Session, *, seed: int) -> ClaimResult:
    """Each of the bundle's SAEs by SAELens's own evaluation, on documents that no training saw."""
    started = time.perf_counter()
    bundle = _bundle(session)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bundle / "model")
    rows = held_out_rows(replace(SHIPPED, seed=seed), tokenizer, _EVALUATED)
    recipe = _manifest(bundle)["recipe"]
    trained = dict(zip(recipe["sae_layers"], recipe["latents"], strict=True))
    outcomes: list[Outcome] = []
    for folder in sorted(bundle.glob("sae*")):
        sae = Sae.load(folder)
        found = evaluate_sae(folder, bundle / "model", rows)
        layer = HookPoint.parse(sae.hook_name).layer
        outcomes += [
            _percentage(f"layer {layer}: variance unexplained", found.unexplained, at_most(5)),
            _percentage("loss recovered", found.ce_loss_score, at_least(95)),
            _percentage("dead latents", 1 - len(sae.facts) / sae.d_sae, at_most(5)),
            Outcome(
                "latents that fire on a token", f"{found.l0:.1f} of {sae.d_sae:,}", "no bar", True
            ),
            Outcome(
                "latents that never fired in training, which are not in the files",
                f"{trained[layer] - sae.d_sae:,}",
                "no bar",
                True,
            ),
        ]
    return ClaimResult(
        name="sae-quality",
        seed=seed,
        study="the SAEs explain the streams that they split",
        measured=f"SAELens's evaluation on some {_EVALUATED:,} held-out tokens; dead: fired on "
        "none of the million that the maxima were measured on",
        edits="",
        outcomes=tuple(outcomes),
        seconds=time.perf_counter() - started,
    )


def _bundle(session: Session) -> Path:
    (sae,) = session.saes.values()
    assert sae.folder is not None, "a bundle's SAE lies in a folder"
    return sae.folder.parent


def _manifest(bundle: Path) -> dict[str, Any]:
    """What the bundle's training wrote of it."""
    return json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))


def _percentage(says: str, value: float, bar: Bar) -> Outcome:
    return Outcome(says, f"{value:.1%}", str(bar), bar.met(value))


def _outcome(says: str, rate: Rate, bar: float) -> Outcome:
    low, high = rate.interval
    value = f"{rate.share:.1%} [{low:.1%}, {high:.1%}]"
    return Outcome(says, value, f"≥ {bar:.0%}".replace("%", " %"), rate.share >= bar)
