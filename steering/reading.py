"""What features read on a text that nobody steers: one pass, one number for each token.

Activations are f * ||d||, as everywhere; position 0 is shown as it is, though it is an outlier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from steering.errors import PromptError
from steering.features import FeatureFacts
from steering.hook_points import HookPoint
from steering.hooks import read_streams
from steering.models import EncodedPrompt, LanguageModel
from steering.readers import Reader
from steering.sae import Sae

PART = 256
"""Tokens read at once: a TopK reader holds every feature of each."""

UNKNOWN = FeatureFacts(max_act=0.0)


@dataclass(frozen=True)
class Trace:
    """One feature on every token of a text."""

    sae: str
    feature: int
    label: str | None
    max_act: float | None
    acts: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "acts": list(self.acts)}


@dataclass(frozen=True)
class Firing:
    """A feature that fires on one token."""

    sae: str
    feature: int
    activation: float
    label: str | None
    max_act: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Reading:
    """A text as tokens, and what the features asked for read on each."""

    token_ids: tuple[int, ...]
    texts: tuple[str, ...]
    """A readable piece for each token; a special token shows its name."""
    special: tuple[bool, ...]
    traces: tuple[Trace, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "token_ids": list(self.token_ids),
            "texts": list(self.texts),
            "special": list(self.special),
            "traces": [trace.to_dict() for trace in self.traces],
        }


def read(
    model: LanguageModel,
    saes: Mapping[str, Sae],
    text: EncodedPrompt,
    features: Sequence[tuple[str, int]],
) -> Reading:
    """Read some features, given by alias and index, on every token.

    Raises:
        FeatureError: An SAE has no such feature.
    """
    readers = [saes[alias].reader([feature]) for alias, feature in features]
    streams = _streams(model, [saes[alias] for alias, _ in features], text.ids)
    traces = [
        Trace(alias, feature, *_facts(saes[alias], feature), _acts(reader, streams[saes[alias]]))
        for (alias, feature), reader in zip(features, readers, strict=True)
    ]
    return Reading(text.ids, model.pieces(text.ids), text.special, tuple(traces))


def strongest(
    model: LanguageModel,
    saes: Mapping[str, Sae],
    text: EncodedPrompt,
    position: int,
    count: int,
) -> tuple[Firing, ...]:
    """The features of all SAEs that fire most on one token, the strongest first.

    Raises:
        PromptError: The text has no such position, or nothing is asked for.
    """
    require_position(text, position)
    if count < 1:
        raise PromptError(f"{count} features were asked for. Ask for at least 1.")
    # What comes behind a token changes nothing at it.
    streams = _streams(model, list(saes.values()), text.ids[: position + 1])
    found = [
        Firing(alias, feature, act, *_facts(sae, feature))
        for alias, sae in saes.items()
        for feature, act in _top(sae.encode(streams[sae][position]), count)
    ]
    return tuple(sorted(found, key=lambda firing: -firing.activation)[:count])


def require_position(text: EncodedPrompt, position: int) -> None:
    """Raise where a text has no such position.

    Raises:
        PromptError: It has not.
    """
    if not 0 <= position < len(text.ids):
        raise PromptError(
            f"Position {position} is not in the text, which has positions 0 to "
            f"{len(text.ids) - 1}. Choose one of them."
        )


def _streams(
    model: LanguageModel, saes: Sequence[Sae], ids: Sequence[int]
) -> dict[Sae, Float[Tensor, "pos d_in"]]:
    """The stream that each SAE reads, from one pass."""
    points = {sae: HookPoint.parse(sae.hook_name) for sae in saes}
    if not points:
        return {}
    (seen,) = read_streams(model, [ids], list(dict.fromkeys(points.values())))
    return {sae: seen[point] for sae, point in points.items()}


def _acts(reader: Reader, stream: Float[Tensor, "pos d_in"]) -> tuple[float, ...]:
    # Adding 0 makes the -0 of a feature that is off a plain 0.
    parts = [reader(part)[0][:, 0] + 0.0 for part in stream.split(PART)]
    return tuple(torch.cat(parts).tolist())


def _top(acts: Float[Tensor, " d_sae"], count: int) -> list[tuple[int, float]]:
    """The strongest features that fire, with their activations."""
    values, features = torch.topk(acts, min(count, acts.shape[0]))
    pairs = zip(features.tolist(), values.tolist(), strict=True)
    return [(feature, act) for feature, act in pairs if act > 0]


def _facts(sae: Sae, feature: int) -> tuple[str | None, float | None]:
    """The feature's label and maximum, where the features file knows them."""
    facts = sae.facts.get(feature, UNKNOWN)
    return facts.label, facts.max_act if facts.max_act > 0 else None
