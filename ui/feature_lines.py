"""Features as lines of a list: what the session knows of each, in words."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steering.errors import AtlasError

if TYPE_CHECKING:
    from steering.atlas.search import Found
    from steering.atlas.steerability import Standing, Steerability
    from steering.session import Session


def feature_lines(session: "Session", alias: str, features: Sequence[int]) -> list[dict[str, Any]]:
    """A line for each feature: number, label, how often it fires, its maximum, a badge.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    try:
        found = session.describe(alias, features)
    except AtlasError:
        # The Explore tab says what is wrong with the file; it is in no other list's way.
        from steering.atlas.known import describe

        found = describe(session.saes[alias], None, features)
    return [_line(session, alias, each) for each in found]


def _line(session: "Session", alias: str, found: "Found") -> dict[str, Any]:
    return {
        "sae": alias,
        "feature": found.feature,
        "name": feature_name(session, alias, found.feature),
        "label": shown_label(found),
        "source": found.source,
        "density": _density(found.density),
        "max": f"max act {found.max_act:.4g}" if found.max_act > 0 else None,
        "badge": steers(found.output_score, found.steerability, found.standing),
    }


Badge = dict[str, str]
_MOVES = {
    "strong": "adding it moves the text strongly",
    "some": "adding it moves the text",
    "weak": "adding it hardly moves the text",
}


def steers(
    score: float | None, steerability: "Steerability | None", standing: "Standing | None"
) -> Badge | None:
    """How well a feature steers, against the others of its atlas; None where it was not scored.

    Most features of an SAE may count as strong, so the badge says where the score stands; that one
    will hardly steer is said whatever the others do.
    """
    if score is None or steerability is None or standing is None:
        return None
    upper = standing.top <= standing.bottom
    share = standing.top if upper else standing.bottom
    place = f"{'top' if upper else 'bottom'} {math.ceil(100 * share - 1e-9)} %"
    weak = steerability == "weak"
    return {
        "text": f"weak, {place}" if weak else place,
        "tone": "weak" if weak else "strong" if upper else "some",
        "title": f"output score {score:.2g}: {_MOVES[steerability]}; "
        f"{place} of the scored features",
    }


def shown_label(found: "Found") -> str:
    """The label of a feature, or its number where it has none."""
    return found.label or f"feature {found.feature}"


def _density(share: float) -> str | None:
    return f"fires on {percent(share)} of tokens" if share > 0 else None


def percent(share: float) -> str:
    """A share that may be tiny."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def feature_name(session: "Session", alias: str | None, feature: int) -> str:
    """`#12`, or `alias/#12` where several SAEs are loaded."""
    return f"{alias}/#{feature}" if len(session.saes) > 1 else f"#{feature}"
