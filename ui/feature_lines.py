"""Features as lines of a list: what the session knows of each, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steering.errors import AtlasError

if TYPE_CHECKING:
    from steering.atlas.search import Found
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
        "badge": found.steerability,
    }


def shown_label(found: "Found") -> str:
    """The label of a feature, or its number where it has none."""
    return found.label or f"feature {found.feature}"


def _density(share: float) -> str | None:
    return f"fires on {percent(share)} of tokens" if share > 0 else None


def percent(share: float) -> str:
    """A share that may be tiny."""
    return f"{100 * share:.2g} %"


def feature_name(session: "Session", alias: str | None, feature: int) -> str:
    """`#12`, or `alias/#12` where several SAEs are loaded."""
    return f"{alias}/#{feature}" if len(session.saes) > 1 else f"#{feature}"
