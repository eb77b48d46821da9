"""How often something happened, and how sure one may be of it."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """Hits out of so many."""

    hits: int
    n: int

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            ValueError: More hits than trials, or none to count.
        """
        if not 0 <= self.hits <= self.n or self.n == 0:
            raise ValueError(f"{self.hits} of {self.n} is no share.")

    @property
    def share(self) -> float:
        """The point estimate, 0 to 1."""
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927), which holds also at 0 and 1."""
        p, n, z = self.share, self.n, Z_95
        middle = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        # At 0 and at 1 the bound is exact; the subtraction is off by a rounding.
        low = (middle - half) / scale if self.hits else 0.0
        high = (middle + half) / scale if self.hits < n else 1.0
        return low, high


def paired_loss(before: list[bool], after: list[bool]) -> tuple[float, float, float]:
    """Share lost from pairs, with its 95 % interval (Wald, on the differences of the pairs).

    Raises:
        ValueError: The lists are not pairs, or fewer than two.
    """
    n = len(before)
    if n != len(after) or n < 2:
        raise ValueError(f"{n} and {len(after)} outcomes are no pairs.")
    differences = [int(b) - int(a) for b, a in zip(before, after, strict=True)]
    mean = sum(differences) / n
    variance = sum((d - mean) ** 2 for d in differences) / (n - 1)
    half = Z_95 * math.sqrt(variance / n)
    return mean, mean - half, mean + half
