"""Which features fire on one token of a text, and what they do to the token behind it."""

from dataclasses import asdict, dataclass
from typing import Any

from steering.atlas.attribution import gathered, toward_next
from steering.memory import explain_memory
from steering.models import EncodedPrompt, LanguageModel
from steering.reading import require_position
from steering.sae import Sae


@dataclass(frozen=True)
class ActiveHere:
    """A feature on one token, with its places among all that fire there; the first is 1."""

    feature: int
    activation: float
    attribution: float
    """What the feature adds here to the logit of the token behind over the mean logit."""
    activation_rank: int
    attribution_rank: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ActivityHere:
    """The features of one token, and the token behind it that attribution is about."""

    target: str
    fired: int
    """How many fire here."""
    by_activation: tuple[ActiveHere, ...]
    by_attribution: tuple[ActiveHere, ...]


@explain_memory()
def active_at(
    model: LanguageModel, sae: Sae, text: EncodedPrompt, position: int, *, limit: int = 12
) -> ActivityHere:
    """The features that fire on one token, ranked by activation and by attribution.

    Attribution is to the token that stands behind it in the text; behind the last one, to the
    likeliest.

    Args:
        model: The SAE's model.
        sae: Whose features.
        text: The text.
        position: Of the token; also position 0 and special tokens are shown as they are.
        limit: How many of each rank.

    Raises:
        PromptError: The text has no such position.
    """
    require_position(text, position)
    behind = text.ids[position + 1] if position + 1 < len(text.ids) else None
    # What comes behind a token changes nothing at it.
    target, stream, gradient = toward_next(model, sae, text.ids[: position + 1], behind)
    acts, _, _, effects = gathered(sae, stream[-1:], gradient[-1:])
    fired = (acts > 0).nonzero()[:, 0]
    orders = [fired[scores[fired].argsort(descending=True)].tolist() for scores in (acts, effects)]
    ranks = [{feature: at for at, feature in enumerate(order, start=1)} for order in orders]
    most = [
        tuple(
            ActiveHere(f, float(acts[f]), float(effects[f]), ranks[0][f], ranks[1][f])
            for f in order[:limit]
        )
        for order in orders
    ]
    return ActivityHere(target, len(fired), *most)
