"""Where features lie to each other: the nearest decoder directions, exactly.

No approximate index: a matrix product in blocks, whose cost is that of reading the matrix once.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from steering.atlas.rings import Neighbour
from steering.sae import Sae

BLOCK = 16_384
"""Rows of one product."""


def unit_rows(sae: Sae, features: Sequence[int] | None = None) -> Float[Tensor, "feature d_in"]:
    """Decoder directions at unit length, all of them or those of some features.

    A row of length 0 stays so and is near to none.
    """
    rows = sae.inner.W_dec.detach()
    rows = (rows if features is None else rows[list(features)]).float()
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-30)


@torch.no_grad()
def nearest(
    rows: Float[Tensor, "feature d_in"], feature: int, count: int = 50
) -> tuple[Neighbour, ...]:
    """The features whose directions are nearest to that of one feature, itself left out.

    Args:
        rows: Unit rows.
        feature: Whose neighbours; the caller has checked that it exists.
        count: How many at most.
    """
    values, found = _best(rows, rows[feature], min(count + 1, len(rows)))
    pairs = zip(found.tolist(), values.tolist(), strict=True)
    return tuple(Neighbour(f, cosine) for f, cosine in pairs if f != feature)[:count]


@torch.no_grad()
def nearest_to(
    rows: Float[Tensor, "feature d_in"], direction: Float[Tensor, " d_in"], count: int = 50
) -> tuple[Neighbour, ...]:
    """The features whose directions are nearest to a direction of any length."""
    unit = direction.float() / direction.float().norm().clamp(min=1e-30)
    values, found = _best(rows, unit, min(count, len(rows)))
    return tuple(map(Neighbour, found.tolist(), values.tolist()))


def _best(rows: Tensor, direction: Tensor, count: int) -> tuple[Tensor, Tensor]:
    cosines = torch.cat([rows[at : at + BLOCK] @ direction for at in range(0, len(rows), BLOCK)])
    return torch.topk(cosines, count)
