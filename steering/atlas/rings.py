"""A feature's neighbours in rings around it, by how far their directions lie apart.

Knows cosines only, so that the page can be laid out without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from steering.errors import AtlasError

RADII = (0.2, 0.4, 0.6, 0.8)
"""Where rings end, as cosine distances."""

APART = 1 - RADII[-1]
"""A cosine below it lies outside every ring of neighbours."""


class Neighbour(NamedTuple):
    """A feature, and the cosine of the angle between the two directions."""

    feature: int
    cosine: float


@dataclass(frozen=True)
class Ring:
    """The neighbours between two cosine distances (1 - cosine), the nearest first."""

    inner: float
    outer: float
    neighbours: tuple[Neighbour, ...]


def rings(neighbours: Sequence[Neighbour], radii: Sequence[float] = RADII) -> list[Ring]:
    """Sort neighbours into rings by cosine distance; those beyond the last radius are left out.

    Raises:
        AtlasError: The radii do not grow from above 0 to at most 2.
    """
    bounds = [0.0, *radii]
    if not radii or not all(a < b for a, b in pairwise(bounds)) or radii[-1] > 2:
        raise AtlasError(
            f"The radii {list(radii)} are no rings. Give growing cosine distances above 0, at "
            "most 2."
        )
    found = []
    for number, (inner, outer) in enumerate(pairwise(bounds)):
        inside = [
            n for n in neighbours if (1 - n.cosine > inner or number == 0) and 1 - n.cosine <= outer
        ]
        found.append(Ring(inner, outer, tuple(sorted(inside, key=lambda n: -n.cosine))))
    return found
