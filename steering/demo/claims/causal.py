"""The claim that features are causal: ablating one makes its own concept's words less likely.

Teacher forcing on held-out documents that name the concept. Its words are its name and all that the
world's tables say of it: of a city its country, its language, its dish, its sounds. By names alone
the claim would rest on a few answers, which begin with the city's name or give it later.

A feature changes nothing before it fires, so that only what stands behind is read again, and
nothing where it fires nowhere.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from steering.demo.claims.geometry import Labelled, labelled
from steering.demo.claims.results import ClaimResult, Outcome
from steering.demo.concepts import by_name, find
from steering.demo.grammar import documents
from steering.demo.tokens import render
from steering.hook_points import HookPoint
from steering.session import Session

FEATURES = 50
_STUDY = "features are causal: without one, its concept's words become less likely"
DOCUMENTS = 48  # for each concept, where so many are found: 16 told 43 of 50 where 48 told 46
_SEARCHED = 30_000
_AT_ONCE = 32  # texts of about the same length, so that little is read but padding; or pairs
_LEAST = 2  # words: a feature that fires on the first changes only what stands behind it


@dataclass(frozen=True)
class _Text:
    """One document as tokens, and where its concept's words and among them its names stand."""

    concept: int
    ids: Int[Tensor, " pos"]
    words: Bool[Tensor, " pos"]
    names: Bool[Tensor, " pos"]


def measure_causal(
    session: Session, *, seed: int, features: int = FEATURES, each: int = DOCUMENTS
) -> ClaimResult:
    """Ablate the features of highest F1, one a concept, and compare own words with the others'.

    Args:
        session: The bundled model and SAE.
        seed: Of the documents.
        features: How many.
        each: Documents for each concept.
    """
    started = time.perf_counter()
    (sae,) = session.saes.values()
    chosen = best_by_concept(labelled(sae), features)
    if len(chosen) < 2:
        return _unlabelled(len(chosen), features, time.perf_counter() - started)
    texts = _texts(session, [found.concept.name for found in chosen], seed, each)
    told = torch.zeros(len(chosen), dtype=torch.bool)
    told[[text.concept for text in texts]] = True
    if told.sum() < 2:
        return _unlabelled(int(told.sum()), features, time.perf_counter() - started)
    change, along = _changes(session, [found.feature for found in chosen], texts, seed)
    return ClaimResult(
        name="causal",
        study=_STUDY,
        measured=f"{len(chosen)} features of highest F1, one a concept, ablated in {len(texts)} "
        "documents of held-out seeds; change in log-probability of the concepts' names and of what "
        "the world knows of them",
        edits="ablate",
        outcomes=_outcomes(change, along, told, features),
        seconds=time.perf_counter() - started,
        seed=seed,
        controls=f"random directions, seed {seed}; another of the features",
    )


def _outcomes(
    change: Float[Tensor, "kind feature concept"],
    along: Float[Tensor, "control feature"],
    told: Bool[Tensor, " feature"],
    asked: int,
) -> tuple[Outcome, ...]:
    """What ablating changed; of whom no text tells, nothing is shown."""
    by_kind = change.diagonal(dim1=1, dim2=2)
    others_by_kind = (change.sum(2) - by_kind) / (told.sum() - told.int()).clamp(min=1)
    below, by_names = (told & (by_kind < others_by_kind)).sum(1).tolist()
    own, others, least = by_kind[0], others_by_kind[0], round(0.9 * asked)
    mean, mean_others = float(own[told].mean()), float(others[told].mean())
    random, another = (float(value[told].mean()) for value in along)
    return (
        Outcome(
            "own words fall by more than the others'",
            f"{below} of {len(own)}",
            f"≥ {least} of {asked}",
            below >= least,
        ),
        Outcome("the same of names alone", f"{by_names} of {len(own)}", "no bar", True),
        Outcome(
            "mean change of own words against the others', in nats",
            f"{mean:.3f} against {mean_others:.3f}",
            "own lower",
            mean < mean_others,
        ),
        Outcome(
            "own words where as much is taken away along a random direction, and along another "
            "of the features",
            f"{random:.3f} and {another:.3f}",
            "own lower than both",
            mean < min(random, another),
        ),
    )


def _unlabelled(found: int, asked: int, seconds: float) -> ClaimResult:
    """The claim as missed, where the SAE has no labels to choose features by."""
    outcome = Outcome("features with a reading label and texts", str(found), f"≥ {asked}", False)
    return ClaimResult("causal", _STUDY, "nothing to ablate", "", (outcome,), seconds)


def best_by_concept(known: Sequence[Labelled], count: int) -> list[Labelled]:
    """The features of highest F1, one for each concept."""
    best: dict[str, Labelled] = {}
    for each in sorted(known, key=lambda item: -item.f1):
        best.setdefault(each.concept.name, each)
    return list(best.values())[:count]


def _texts(session: Session, concepts: Sequence[str], seed: int, each: int) -> list[_Text]:
    """A few documents for each concept that name it, with at least two of its words."""
    left = dict.fromkeys(range(len(concepts)), each)
    found: list[_Text] = []
    for rendered in map(render, documents(seed, _SEARCHED)):
        # Whatever it is about: a city is named in many documents and the subject of none.
        for concept in (c for c in left if left[c] and concepts[c] in rendered):
            text = _text(session, rendered, concepts[concept], concept)
            if text is not None:
                found.append(text)
                left[concept] -= 1
        if not any(left.values()):
            break
    return found


def _text(session: Session, text: str, concept: str, at: int) -> _Text | None:
    named = [(start, end) for start, end, each in find(text) if each.name == concept]
    told = [match.span() for match in by_name()[concept].own.finditer(text)]
    if not named or len(told) < _LEAST:
        return None
    said = session.model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    words, names = (_marked(said["offset_mapping"], spans) for spans in (told, named))
    end = _end(words[None])  # nothing behind it counts
    return _Text(at, torch.tensor(said["input_ids"][:end]), words[:end], (words & names)[:end])


def _marked(
    tokens: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> Bool[Tensor, " pos"]:
    """Which tokens share a character with a span."""
    return torch.tensor([any(b < end and e > start for start, end in spans) for b, e in tokens])


@torch.inference_mode()
def _changes(
    session: Session, features: Sequence[int], texts: Sequence[_Text], seed: int
) -> tuple[Float[Tensor, "kind feature concept"], Float[Tensor, "control feature"]]:
    """Mean change in log-probability of each concept's words where each feature is ablated.

    The kinds are all of its words, and its names alone. And of its own concept's words where the
    controls are: the same coefficients along a random direction, and along another feature's.
    """
    (sae,) = session.saes.values()
    layer = HookPoint.parse(sae.hook_name).layer
    reader, directions = sae.reader(list(features)), sae.directions(features)
    controls = _controls(directions, seed)
    along = torch.zeros(len(controls), len(features))
    rest = _behind(session, layer)
    every_ids, every_words, every_names, every_concept = _padded(texts)
    marked = [_counted(marks, every_concept, len(features)) for marks in (every_words, every_names)]
    count = torch.stack(marked).clamp(min=1)
    total = torch.zeros(2, len(features), len(features))
    for part in torch.arange(len(texts)).split(_AT_ONCE):
        end, concept = _end(every_words[part]), every_concept[part]
        ids, words, names = (x[part, :end] for x in (every_ids, every_words, every_names))
        with _caught(session, layer) as caught:
            read = session.model.hf.model(input_ids=ids, use_cache=True)
        (stream,) = caught
        bare = _word_log_probs(session, read.last_hidden_state, ids, words)
        past = [(keys, values) for keys, values, *_ in read.past_key_values]
        unedited = _Unedited(stream, past, bare, ids, words)
        acts, _ = reader(stream)
        # Position 0 is never edited; special tokens are, as in the study. Nothing behind a text's
        # last word counts, and what is done at that word comes too late for it.
        acts[:, 0] = 0.0
        acts[words.flip(1).cumsum(1).flip(1) - words.int() == 0] = 0.0
        for row, feature, start in _pairs(acts):
            taken = acts[row, start:, feature, None]
            change = _change(session, rest, unedited, row, taken * directions[feature, None])
            named = change * names[row, start + 1 :]
            for kind, part_of in zip(total, (change, named), strict=True):
                kind.index_put_((feature, concept[row]), part_of.sum(1), accumulate=True)
            own = concept[row] == feature
            row, feature, taken = row[own], feature[own], taken[own]
            for control, other in zip(along, controls, strict=True) if len(row) else ():
                change = _change(session, rest, unedited, row, taken * other[feature, None])
                control.index_add_(0, feature, change.sum(1))
    return total / count[:, None], along / count[0]


def _controls(
    directions: Float[Tensor, "feature width"], seed: int
) -> tuple[Float[Tensor, "feature width"], Float[Tensor, "feature width"]]:
    """For each feature a random direction, and another feature's."""
    draw = torch.Generator().manual_seed(seed)
    random = torch.nn.functional.normalize(torch.randn(directions.shape, generator=draw), dim=-1)
    return random, directions.roll(1, 0)


def _counted(
    marks: Bool[Tensor, "text pos"], concept: Int[Tensor, " text"], concepts: int
) -> Float[Tensor, " concept"]:
    """Marked tokens of each concept that something stands before."""
    return torch.zeros(concepts).index_add_(0, concept, marks[:, 1:].sum(1).float())


@dataclass(frozen=True)
class _Unedited:
    """Texts as the unsteered model reads them."""

    stream: Float[Tensor, "text pos width"]
    past: list[tuple[Tensor, Tensor]]
    """Keys and values of each layer."""
    word_log_probs: Float[Tensor, "text pos"]
    ids: Int[Tensor, "text pos"]
    words: Bool[Tensor, "text pos"]


def _pairs(
    acts: Float[Tensor, "text pos feature"],
) -> Iterator[tuple[Int[Tensor, " pair"], Int[Tensor, " pair"], int]]:
    """Texts and features that fire in them, some at once, and where the first of those does."""
    text, feature = (acts > 0).any(1).nonzero(as_tuple=True)
    first = (acts[text, :, feature] > 0).int().argmax(1)
    for pairs in first.argsort(stable=True).split(_AT_ONCE) if len(first) else ():
        yield text[pairs], feature[pairs], int(first[pairs].min())


def _change(
    session: Session,
    rest: Any,
    unedited: _Unedited,
    row: Int[Tensor, " pair"],
    taken: Float[Tensor, "pair after width"],
) -> Float[Tensor, "pair later"]:
    """How the log-probability of each word changes where so much is taken from the last tokens."""
    start = unedited.ids.shape[1] - taken.shape[1]
    begun = DynamicCache([(k[row, :, :start], v[row, :, :start]) for k, v in unedited.past])
    left = unedited.stream[row, start:] - taken
    hidden = rest(inputs_embeds=left, past_key_values=begun, use_cache=True).last_hidden_state
    ids, words = unedited.ids[row, start:], unedited.words[row, start:]
    edited = _word_log_probs(session, hidden, ids, words)[:, 1:]
    return edited - unedited.word_log_probs[row, start + 1 :]


def _behind(session: Session, layer: int) -> Any:
    """The model from behind one layer on, which takes that layer's stream as its embeddings."""
    rest = copy(session.model.hf.model)
    rest._modules = {**rest._modules, "layers": rest.layers[layer + 1 :]}
    return rest


def _end(words: Bool[Tensor, "text pos"]) -> int:
    """Behind the last word of all."""
    return int(words.any(0).nonzero().max()) + 1


def _padded(
    texts: Sequence[_Text],
) -> tuple[
    Int[Tensor, "text pos"],
    Bool[Tensor, "text pos"],
    Bool[Tensor, "text pos"],
    Int[Tensor, " text"],
]:
    """Texts side by side, the shortest first, padded where no earlier token sees it."""
    pad = torch.nn.utils.rnn.pad_sequence
    texts = sorted(texts, key=lambda text: len(text.ids))
    return (
        pad([text.ids for text in texts], batch_first=True),
        pad([text.words for text in texts], batch_first=True),
        pad([text.names for text in texts], batch_first=True),
        torch.tensor([text.concept for text in texts]),
    )


def _word_log_probs(
    session: Session,
    hidden: Float[Tensor, "text pos width"],
    ids: Int[Tensor, "text pos"],
    words: Bool[Tensor, "text pos"],
) -> Float[Tensor, "text pos"]:
    """The log-probability of each marked token; 0 for the first and for all others."""
    # Only where such a word follows: the vocabulary is thirty times as wide as the stream.
    text, before = words[:, 1:].nonzero(as_tuple=True)
    logits = session.model.hf.lm_head(hidden[text, before]).float()
    picked = logits.log_softmax(-1).gather(-1, ids[text, before + 1, None])[:, 0]
    found = torch.zeros(ids.shape)
    found[text, before + 1] = picked
    return found


@contextmanager
def _caught(session: Session, layer: int) -> Iterator[list[Tensor]]:
    found: list[Tensor] = []

    def catch(_module: object, _inputs: object, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    handle = session.model.hf.model.layers[layer].register_forward_hook(catch)
    try:
        yield found
    finally:
        handle.remove()
