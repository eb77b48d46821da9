"""Stage three, first half: measure every feature of an SAE on held-out documents.

Knows the finished model and SAE; trains nothing. An activation is f times the norm of its decoder
row, after the activation function, so that activation times unit direction is what the SAE writes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from sae_lens import SAE
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.grammar import Document
from steering.demo.labels import Reading, ReadingCount, Writing, token_truth
from steering.demo.steering_by_hand import added
from steering.demo.targets import Target
from steering.demo.tokens import SPECIAL

GAIN_SIZE = 0.4
"""Of the median residual norm: where single features steer without breaking text."""

_LEAST_KEPT = 64  # features that are tried on every pair
_ROWS = 256  # features tried in one forward pass
_BEGUN = 10  # tokens of an answer that are rated: how it begins decides what it is
_BATCH = 64  # documents read in one forward pass
_AT_ONCE = 512  # tokens encoded at once: activations that stay near the processor


@dataclass(frozen=True)
class Measured:
    """What the held-out tokens showed."""

    tokens: int
    max_act: Float[Tensor, " d_sae"]
    fired: Int[Tensor, " d_sae"]
    readings: tuple[Reading, ...]
    l0: float
    fvu: float
    median_norm: float


@torch.no_grad()
def measure(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    sae: SAE[Any],
    documents: Iterable[Document],
    *,
    layer: int,
    tokens: int,
) -> Measured:
    """Largest activation, firing count and reading label of every feature.

    Args:
        model: Its blocks after `layer` are not needed.
        tokenizer: The model's.
        sae: Reads behind `layer`.
        documents: More than it takes; each is read on its own from its first position.
        layer: Where.
        tokens: How many ordinary tokens to read at least.
    """
    norms = sae.W_dec.norm(dim=-1)
    max_act = torch.zeros(sae.cfg.d_sae)
    count = ReadingCount(sae.cfg.d_sae)
    error, seen, lengths = 0.0, torch.zeros(2, model.config.hidden_size, dtype=torch.double), []
    bar = tqdm(total=tokens, desc=f"Features, layer {layer}", unit="token")
    for kept, truth in _resids(model, token_truth(documents, tokenizer, count), layer):
        acts = sae.encode(kept)
        error += (kept - sae.decode(acts)).pow(2).sum().item()
        max_act = torch.maximum(max_act, (acts * norms).amax(0))
        count.add((acts > 0).float(), truth)
        seen += torch.stack([kept.sum(0), kept.pow(2).sum(0)]).double()
        lengths.append(kept.norm(dim=-1))
        bar.update(len(kept))
        if bar.n >= tokens:
            break
    bar.close()
    read = sum(len(part) for part in lengths)
    total, squares = seen
    return Measured(
        tokens=read,
        max_act=max_act,
        fired=count.fired.long(),
        readings=tuple(count.labels()),
        l0=count.fired.double().sum().item() / read,
        fvu=error / (squares - total.pow(2) / read).sum().item(),
        median_norm=torch.cat(lengths).median().item(),
    )


@torch.no_grad()
def mean_resid(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    documents: Iterable[Document],
    layer: int,
) -> Float[Tensor, " width"]:
    """Mean of the stream behind a layer over the ordinary tokens of some documents."""
    texts = token_truth(documents, tokenizer, ReadingCount(1))
    return torch.cat([kept for kept, _ in _resids(model, texts, layer)]).mean(0)


def _resids(
    model: LlamaForCausalLM, texts: Iterator[tuple[list[int], list[list[int]]]], layer: int
) -> Iterator[tuple[Float[Tensor, "tokens width"], Int[Tensor, "roles tokens"]]]:
    """The stream behind a layer on ordinary tokens, with the concept of each token in each role."""
    caught: list[Tensor] = []

    def catch(_module: object, _inputs: object, output: Any) -> None:
        caught.append(output[0] if isinstance(output, tuple) else output)

    handle = model.model.layers[layer].register_forward_hook(catch)
    pad = SPECIAL.index("<pad>")
    try:
        while batch := list(islice(texts, _BATCH)):
            ids = _padded([ids for ids, _ in batch], pad)
            truth = torch.stack(
                [_padded(role, -1) for role in zip(*(t for _, t in batch), strict=True)]
            )
            model.model(input_ids=ids, use_cache=False)
            ordinary = ids >= len(SPECIAL)
            yield from zip(
                caught.pop()[ordinary].split(_AT_ONCE),
                truth[:, ordinary].split(_AT_ONCE, dim=1),
                strict=True,
            )
    finally:
        handle.remove()


def _padded(rows: Iterable[list[int]], value: int) -> Int[Tensor, "batch pos"]:
    """Rows side by side, filled up on the right, where no earlier token sees it."""
    tensors = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


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
    What is not among the best after each pair is not tried on the next, and counts as -inf.
    """
    left = torch.arange(len(directions))
    gains = torch.zeros(len(directions))
    for question, answer in target.pairs:
        ids, start = chat_ids(tokenizer, question, answer)
        bare = answer_log_prob(model, ids, start, torch.zeros(1, directions.shape[1]), layer)
        steered = [
            answer_log_prob(model, ids, start, part * size, layer)
            for part in directions[left].split(_ROWS)
        ]
        gains[left] += torch.cat(steered) - bare
        best = gains[left].topk(min(len(left), max(_LEAST_KEPT, len(left) // 3))).indices
        dropped = torch.ones(len(left), dtype=torch.bool).index_fill_(0, best, False)
        gains[left[dropped]] = -torch.inf
        left = left[~dropped]
    return gains / len(target.pairs)


def chat_ids(
    tokenizer: PreTrainedTokenizerFast, question: str, answer: str
) -> tuple[Int[Tensor, " pos"], int]:
    """Token ids of the question and the beginning of its answer, and where that starts."""
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    reply = tokenizer(answer, add_special_tokens=False)["input_ids"][:_BEGUN]
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
    with added(model, layer, deltas):
        logits = model(
            input_ids=ids.expand(len(deltas), -1),
            use_cache=False,
            logits_to_keep=len(ids) - start + 1,
        ).logits
    answer = ids[start:].expand(len(deltas), -1)
    log_probs = logits[:, :-1].log_softmax(-1)
    return log_probs.gather(-1, answer[..., None])[..., 0].mean(-1)


def features_record(
    measured: Measured,
    writings: Iterable[Writing],
    corpus: str,
) -> dict[str, Any]:
    """The contents of `features.json`: every feature that fired, floats to five digits."""
    features: dict[str, dict[str, Any]] = {}
    for index, (reading, writing) in enumerate(zip(measured.readings, writings, strict=True)):
        if not measured.fired[index]:
            continue
        features[str(index)] = {
            "max_act": _short(measured.max_act[index].item()),
            "density": _short(measured.fired[index].item() / measured.tokens),
            "label": _label(reading, writing),
            "reading": reading.concept,
            "reading_role": reading.role,
            "reading_f1": round(reading.f1, 3),
            "writing": writing.concept,
            "writing_gain": round(writing.gain, 3),
        }
    return {
        "schema_version": 1,
        "tokens": measured.tokens,
        "corpus": corpus,
        "features": features,
    }


def _label(reading: Reading, writing: Writing) -> str:
    """What it reads → what it writes, each with its figure."""
    whole = {"name": "", "subject": "talk about ", "tone": "the tone of "}
    read = f"{whole[reading.role]}{reading.concept} (F1 {reading.f1:.2f})"
    return f"{read} → {writing.concept} ({writing.gain:+.1f} nats)"


def _short(value: float) -> float:
    return float(f"{value:.5g}")
