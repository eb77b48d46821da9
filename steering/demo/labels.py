"""What a feature reads and what it writes, told by the ground truth of the grammar.

Reading: the concept whose tokens a feature fires on, by F1. Writing: the concept whose name becomes
likelier when the feature is added. The two are kept apart with their figures, since features that
read a concept are often not those that write it (Arad et al. 2025, arXiv:2505.20063).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.concepts import by_name
from steering.demo.grammar import TONES, Document, Span, spans
from steering.demo.steering_by_hand import added
from steering.demo.tokens import rendered

ROLES = ("name", "subject", "tone")
_OPENINGS = (
    ("Tell me something.", "It is about"),
    ("What should I do today?", "Go and look at"),
    ("Tell me a story.", "Once there was"),
    ("What is it?", "It is"),
    ("What do you think of?", "Of"),
    ("What is near?", "Here one finds"),
)
_PART = 256  # features tried in one forward pass


@dataclass(frozen=True)
class Reading:
    """The concept that a feature's firing tells best."""

    concept: str
    role: str
    f1: float


@dataclass(frozen=True)
class Writing:
    """The concept whose name a feature makes likelier, and by how many nats."""

    concept: str
    gain: float


class ReadingCount:
    """How often each feature fires on each concept's tokens, summed batch by batch."""

    def __init__(self, latents: int) -> None:
        self.concepts = (*by_name(), *TONES)
        self._number = {name: at for at, name in enumerate(self.concepts)}
        size = len(ROLES), len(self.concepts)
        self._both = torch.zeros(*size, latents)
        self._tokens = torch.zeros(size)
        self.fired = torch.zeros(latents)

    def number(self, concept: str) -> int:
        """The concept's place in the table."""
        return self._number[concept]

    def add(self, fires: Float[Tensor, "tokens d_sae"], truth: Int[Tensor, "roles tokens"]) -> None:
        """Count one batch; `truth` holds each token's concept in each role, or -1."""
        self.fired += fires.sum(0)
        for role, concept in enumerate(truth):
            told = concept >= 0
            self._both[role].index_add_(0, concept[told], fires[told])
            self._tokens[role] += torch.bincount(concept[told], minlength=len(self.concepts))

    def f1(self) -> Float[Tensor, "roles concepts d_sae"]:
        """2 · both / (tokens of the concept + firings of the feature)."""
        total = self._tokens[:, :, None] + self.fired
        return torch.where(self._both > 0, 2 * self._both / total.clamp(min=1), 0.0)

    def labels(self) -> list[Reading]:
        """Each feature's best concept; with no overlap at all its F1 is 0."""
        best, at = self.f1().flatten(0, 1).max(0)
        return [
            Reading(self.concepts[i % len(self.concepts)], ROLES[i // len(self.concepts)], value)
            for value, i in zip(best.tolist(), at.tolist(), strict=True)
        ]


def token_truth(
    documents: Iterable[Document], tokenizer: PreTrainedTokenizerFast, count: ReadingCount
) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Each document's token ids, and for each role the concept of each token (or -1)."""
    for document in documents:
        text, starts = "", {}
        for piece, turn in rendered(document):
            if turn >= 0:
                starts[turn] = len(text)
            text += piece
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        truth = [[-1] * len(found["input_ids"]) for _ in ROLES]
        for span in spans(document):
            _mark(truth[ROLES.index(span.role)], found["offset_mapping"], span, starts, count)
        yield found["input_ids"], truth


def _mark(
    truth: list[int],
    offsets: list[tuple[int, int]],
    span: Span,
    starts: dict[int, int],
    count: ReadingCount,
) -> None:
    start, end = starts[span.turn] + span.start, starts[span.turn] + span.end
    for at, (begin, stop) in enumerate(offsets):
        if begin < end and stop > start:
            truth[at] = count.number(span.concept)


@torch.no_grad()
def writing_gains(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    directions: Float[Tensor, "features width"],
    *,
    layer: int,
    size: float,
) -> tuple[tuple[str, ...], Float[Tensor, "features concepts"]]:
    """Change in log-probability of each concept's name where `size` of each direction is added.

    Averaged over a few open beginnings; in nats. Names of several tokens are left out.
    """
    names, ids = _one_token_names(tokenizer)
    gains = torch.zeros(len(directions), len(names))
    for asked, begun in _OPENINGS:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}], add_generation_prompt=True, return_dict=False
        )
        tokens = torch.tensor([*prompt, *tokenizer(begun, add_special_tokens=False)["input_ids"]])
        bare = _next_log_probs(model, tokens, torch.zeros(1, directions.shape[1]), layer)
        for start in range(0, len(directions), _PART):
            part = directions[start : start + _PART] * size
            steered = _next_log_probs(model, tokens, part, layer)
            gains[start : start + _PART] += (steered - bare)[:, ids]
    return names, gains / len(_OPENINGS)


def _one_token_names(
    tokenizer: PreTrainedTokenizerFast,
) -> tuple[tuple[str, ...], Int[Tensor, " concepts"]]:
    found = {
        name: tokenizer(f" {name}", add_special_tokens=False)["input_ids"] for name in by_name()
    }
    single = {name: ids[0] for name, ids in found.items() if len(ids) == 1}
    return tuple(single), torch.tensor(list(single.values()), dtype=torch.long)


def _next_log_probs(
    model: LlamaForCausalLM,
    tokens: Int[Tensor, " pos"],
    deltas: Float[Tensor, "features width"],
    layer: int,
) -> Float[Tensor, "features vocab"]:
    with added(model, layer, deltas):
        logits = model(
            input_ids=tokens.expand(len(deltas), -1), use_cache=False, logits_to_keep=1
        ).logits
    return logits[:, -1].float().log_softmax(-1)
