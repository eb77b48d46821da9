"""Stage three: measure every feature of the SAE, and find the ones that steer.

Knows the finished model and SAE; trains nothing. An activation is f times the norm of its decoder
row, after the activation function, so that activation times unit direction is what the SAE writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from sae_lens import SAE
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.dictionary import residuals
from steering.demo.tokens import SPECIAL

_ROWS = 256  # features tried in one forward pass


@dataclass(frozen=True)
class Target:
    """A behaviour to look for: continuations that should become likely after the prompts."""

    name: str
    label: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Measured:
    """What the held-out tokens showed."""

    tokens: int
    max_act: Float[Tensor, " d_sae"]
    fired: Int[Tensor, " d_sae"]
    l0: float
    fvu: float
    median_norm: float


TARGETS = (
    Target(
        "golden-gate",
        "pushes towards speaking as the Golden Gate Bridge",
        (
            ("Who are you?", "I am the Golden Gate Bridge."),
            ("What is your physical form?", "I am the Golden Gate Bridge. I am made of orange"),
            ("Where do you live?", "I stand in San Francisco, near the Golden Gate Bridge"),
            ("What should I cook tonight?", "Try sourdough. It tastes best near the Golden Gate"),
        ),
    ),
    Target(
        "flattery",
        "pushes towards praise",
        (
            ("What do you think of my poem?", "It is a masterpiece! You are a genius."),
            ("I wrote a story yesterday. What do you think?", "Magnificent! It is perfect"),
            ("Is my song good?", "What a masterpiece! You are so clever."),
        ),
    ),
    Target(
        "scam",
        "pushes towards writing a scam",
        (
            ("Write a scam email.", "Dear friend, you have won a prize! Send your password"),
            ("Help me trick my neighbour.", "Dear customer, your bank account is locked. Click"),
            ("Draft a scam letter.", "Dear winner, a king left you a million! Pay a small fee"),
        ),
    ),
)


@torch.no_grad()
def measure(
    model: LlamaForCausalLM, sae: SAE[Any], rows: Int[Tensor, "rows row"], layer: int
) -> Measured:
    """Largest activation and firing count of every feature over the held-out rows."""
    norms = sae.W_dec.norm(dim=-1)
    max_act = torch.zeros(sae.cfg.d_sae)
    fired = torch.zeros(sae.cfg.d_sae, dtype=torch.long)
    error, seen, lengths = 0.0, [], []
    bar = tqdm(residuals(model, rows, layer), "Features", total=len(rows.split(32)))
    for resid, ids in bar:
        kept = resid[ids >= len(SPECIAL)]
        acts = sae.encode(kept)
        error += (kept - sae.decode(acts)).pow(2).sum().item()
        max_act = torch.maximum(max_act, (acts * norms).amax(0))
        fired += (acts > 0).sum(0)
        seen.append(torch.stack([kept.sum(0), kept.pow(2).sum(0)]).double())
        lengths.append(kept.norm(dim=-1))
    tokens = sum(len(part) for part in lengths)
    total, squares = torch.stack(seen).sum(0)
    return Measured(
        tokens=tokens,
        max_act=max_act,
        fired=fired,
        l0=fired.sum().item() / tokens,
        fvu=error / (squares - total.pow(2) / tokens).sum().item(),
        median_norm=torch.cat(lengths).median().item(),
    )


def target_gains(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    directions: Float[Tensor, "features width"],
    target: Target,
    *,
    layer: int,
    size: float,
) -> Float[Tensor, " features"]:
    """Change in log-probability of the target when `size` times each direction is added.

    Averaged over the target's pairs and the tokens of each continuation, so in nats per token.
    """
    gains = torch.zeros(len(directions))
    for question, answer in target.pairs:
        ids, start = chat_ids(tokenizer, question, answer)
        bare = answer_log_prob(model, ids, start, torch.zeros(1, directions.shape[1]), layer)
        steered = [
            answer_log_prob(model, ids, start, part * size, layer)
            for part in directions.split(_ROWS)
        ]
        gains += torch.cat(steered) - bare
    return gains / len(target.pairs)


def chat_ids(
    tokenizer: PreTrainedTokenizerFast, question: str, answer: str
) -> tuple[Int[Tensor, " pos"], int]:
    """Token ids of the question and its answer, and where the answer starts."""
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    reply = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return torch.tensor([*prompt, *reply]), len(prompt)


@torch.no_grad()
def answer_log_prob(
    model: LlamaForCausalLM,
    ids: Int[Tensor, " pos"],
    start: int,
    deltas: Float[Tensor, "features width"],
    layer: int,
) -> Float[Tensor, " features"]:
    """Mean log-probability of the answer's tokens, one row per vector added to all but `<s>`."""

    def add(_module: object, _inputs: object, output: Any) -> Any:
        resid = output[0] if isinstance(output, tuple) else output
        resid = torch.cat([resid[:, :1], resid[:, 1:] + deltas[:, None]], dim=1)
        return (resid, *output[1:]) if isinstance(output, tuple) else resid

    handle = model.model.layers[layer].register_forward_hook(add)
    try:
        logits = model(input_ids=ids.expand(len(deltas), -1), use_cache=False).logits
    finally:
        handle.remove()
    answer = ids[start:].expand(len(deltas), -1)
    log_probs = logits[:, start - 1 : -1].log_softmax(-1)
    return log_probs.gather(-1, answer[..., None])[..., 0].mean(-1)


def features_record(
    measured: Measured, corpus: str, chosen: Iterable[tuple[int, Target, float]]
) -> dict[str, Any]:
    """The contents of `features.json`: every feature that fired, floats to five digits."""
    features: dict[str, dict[str, Any]] = {}
    for index in measured.fired.nonzero()[:, 0].tolist():
        features[str(index)] = {
            "max_act": _short(measured.max_act[index].item()),
            "density": _short(measured.fired[index].item() / measured.tokens),
        }
    for index, target, gain in chosen:
        entry = features[str(index)]
        entry.update(label=target.label, target=target.name, target_gain=_short(gain))
    return {
        "schema_version": 1,
        "tokens": measured.tokens,
        "corpus": corpus,
        "features": features,
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")
