"""Firing together against pointing the same way: the two need not agree.

Features that fire on the same tokens may write different things, and near directions may fire on
different texts; where both hold, one concept was probably split in two.
"""

from dataclasses import asdict, dataclass
from typing import Any

from steering.atlas.cards import partners
from steering.atlas.geometry import unit_rows
from steering.atlas.rings import APART
from steering.atlas.store import Atlas
from steering.sae import Sae


@dataclass(frozen=True)
class Together:
    """A feature that fires beside another."""

    feature: int
    share: float
    """Of the first one's firings, on which this one was seen to fire too: at least so many, since
    only the strongest features of a token pair up."""
    closeness: float
    """Cosine of the two firing patterns over the tokens of the text."""
    cosine: float
    """Of the two decoder directions."""
    label: str | None

    @property
    def apart(self) -> bool:
        """Whether the two directions are no neighbours, though they fire together."""
        return self.cosine < APART

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def together(atlas: Atlas, sae: Sae, feature: int) -> tuple[Together, ...]:
    """The features that fire with one most, the closest first, with the cosine of directions.

    Args:
        atlas: Of the SAE.
        sae: Whose decoder has the directions.
        feature: Whose partners.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    found = partners(atlas, feature)
    if not found:
        return ()
    (fired,) = atlas.one("SELECT fired FROM stats WHERE feature = ?", (feature,)) or (0,)
    own, *others = unit_rows(sae, [feature, *(each.feature for each in found)])
    return tuple(
        Together(
            feature=each.feature,
            share=each.both / fired,
            closeness=each.closeness,
            cosine=float(row @ own),
            label=each.label,
        )
        for each, row in zip(found, others, strict=True)
    )
