"""Firing together against pointing the same way: the two need not agree.

Features that fire on the same tokens may write different things, and near directions may fire on
different texts; where both hold, one concept was probably split in two.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from steering.atlas.cards import partners
from steering.atlas.store import Atlas


@dataclass(frozen=True)
class Together:
    """A feature that fires beside another."""

    feature: int
    closeness: float
    """Cosine of the two firing patterns over the tokens of the text."""
    cosine: float
    """Of the two decoder directions."""
    label: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@torch.no_grad()
def together(
    atlas: Atlas, rows: Float[Tensor, "feature d_in"], feature: int
) -> tuple[Together, ...]:
    """The features that fire with one most, the closest first, with the cosine of directions.

    Args:
        atlas: Of the SAE.
        rows: Its unit decoder rows (`geometry.unit_rows`).
        feature: Whose partners.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    found = partners(atlas, feature)
    cosines = (rows[[each.feature for each in found]] @ rows[feature]).tolist()
    return tuple(
        Together(each.feature, each.closeness, cosine, each.label)
        for each, cosine in zip(found, cosines, strict=True)
    )
