"""Which features a text fires: by activation, by attribution, and against another text.

The tokens that count are those that generation would steer. Activation says what a text has of a
feature; attribution says what it does there: activation times the gradient of the next token's
logit, over the mean of all logits, along the feature's direction. The study found the first a poor
guide to the second (Templeton et al. 2024).
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from steering.atlas.attribution import encoded, gathered, toward_next
from steering.errors import PromptError
from steering.hook_points import HookPoint
from steering.hooks import read_streams
from steering.memory import explain_memory
from steering.models import EncodedPrompt, LanguageModel
from steering.sae import Sae

_ROUNDING = 1e-5  # of float32, relative: what another order of adding up makes


@dataclass(frozen=True)
class Active:
    """A feature on a text."""

    feature: int
    activation: float
    """The highest on a counted token."""
    position: int
    """Of that token."""
    token: str
    mean: float
    """Over the counted tokens."""
    attribution: float
    """What the feature adds to the next token's logit over the mean logit, to first order.

    Not its log-probability, which hardly moves where the model is sure."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Activity:
    """The features of a text, and the next token that attribution is about."""

    target: str
    by_activation: tuple[Active, ...]
    by_attribution: tuple[Active, ...]


@dataclass(frozen=True)
class Difference:
    """A feature's mean activation on the counted tokens of two texts."""

    feature: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """How much more there is in the first."""
        return self.first - self.second

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "difference": self.difference}


@dataclass(frozen=True)
class Contrast:
    """What the first text has more of, and what the second."""

    first: tuple[Difference, ...]
    second: tuple[Difference, ...]


@explain_memory()
def active(
    model: LanguageModel,
    sae: Sae,
    text: EncodedPrompt,
    *,
    target: str | None = None,
    limit: int = 20,
) -> Activity:
    """The features that fire on a text, ranked by activation and by attribution.

    Args:
        model: The SAE's model.
        sae: Whose features.
        text: The text.
        target: The next word that attribution is about; the likeliest token if left out.
        limit: How many of each rank.

    Raises:
        PromptError: No token of the text counts, or the target is empty.
    """
    counted = _counted(text)
    wanted = None if target is None else _first_token(model, target)
    shown, stream, gradient = toward_next(model, sae, text.ids, wanted)
    highest, places, sums, effects = gathered(sae, stream[counted], gradient[counted])
    pieces = model.pieces(text.ids)

    def actives(scores: Float[Tensor, " d_sae"]) -> tuple[Active, ...]:
        found = torch.topk(scores, min(limit, len(scores))).indices.tolist()
        return tuple(
            Active(
                feature=feature,
                activation=float(highest[feature]),
                position=counted[int(places[feature])],
                token=pieces[counted[int(places[feature])]],
                mean=float(sums[feature]) / len(counted),
                attribution=float(effects[feature]),
            )
            for feature in found
            if highest[feature] > 0
        )

    off = highest <= 0
    return Activity(shown, actives(highest), actives(effects.masked_fill(off, -torch.inf)))


@explain_memory()
def peaks(model: LanguageModel, sae: Sae, text: EncodedPrompt) -> Float[Tensor, " d_sae"]:
    """The highest activation of every feature on a text: what lights up on the map.

    Raises:
        PromptError: No token of the text counts.
    """
    point = HookPoint.parse(sae.hook_name)
    counted = _counted(text)
    with model.lock:
        (seen,) = read_streams(model, [text.ids], [point])
    return torch.stack([acts.amax(0) for acts in encoded(sae, seen[point][counted])]).amax(0)


@explain_memory()
def contrast(
    model: LanguageModel, sae: Sae, first: EncodedPrompt, second: EncodedPrompt, limit: int = 20
) -> Contrast:
    """The features whose mean activation differs most between two texts.

    Raises:
        PromptError: No token of a text counts.
    """
    point = HookPoint.parse(sae.hook_name)
    one, other = _counted(first), _counted(second)
    with model.lock:
        streams = read_streams(model, [first.ids, second.ids], [point])
    means = [
        torch.stack([acts.sum(0) for acts in encoded(sae, seen[point][counted])]).sum(0)
        / len(counted)
        for seen, counted in zip(streams, (one, other), strict=True)
    ]
    gap = means[0] - means[1]
    # Rows of one batch may add up in different orders: a text differs a little from itself.
    gap = gap.masked_fill(gap.abs() <= _ROUNDING * (means[0] + means[1]), 0.0)

    def most(scores: Float[Tensor, " d_sae"]) -> tuple[Difference, ...]:
        values, found = torch.topk(scores, min(limit, len(scores)))
        return tuple(
            Difference(feature, float(means[0][feature]), float(means[1][feature]))
            for feature, value in zip(found.tolist(), values.tolist(), strict=True)
            if value > 0
        )

    return Contrast(most(gap), most(-gap))


def _counted(text: EncodedPrompt) -> list[int]:
    found = [at for at, special in enumerate(text.special) if at and not special]
    if not found:
        raise PromptError(
            "No token of the text counts: position 0 and special tokens do not. Write more words."
        )
    return found


def _first_token(model: LanguageModel, target: str) -> int:
    ids = model.tokenizer.encode(target, add_special_tokens=False)
    if not ids:
        raise PromptError("The next word is empty. Write one, with the space before it.")
    if len(ids) > 1:
        pieces = ", ".join(repr(model.tokenizer.decode([each])) for each in ids)
        raise PromptError(
            f"The next word {target!r} is {len(ids)} tokens ({pieces}), and attribution is to one. "
            "Give one of them; most words have the space before them in their token."
        )
    return ids[0]
