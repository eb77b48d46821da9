"""The window of the dose-response curve: where a feature acts and the text still reads well."""

from collections.abc import Iterable
from itertools import groupby

from steering.demo.claims.results import Dose

OF_THE_PEAK = 0.8
"""The window of strengths: at least this share of the best rate ..."""
TIMES_THE_SURPRISE = 2.0
"""... at less than so many times the surprise of strength 0."""


def window(doses: Iterable[Dose]) -> tuple[float, float] | None:
    """The first and last strength of the longest run that acts and still reads well, if any.

    Each of them is above 0, keeps `OF_THE_PEAK` of the best rate, above what chance makes of the
    rate at strength 0, at less than `TIMES_THE_SURPRISE` times the surprise there. Strength 0 must
    have been measured.
    """
    ordered = by_strength(doses)
    none, limit = at_zero(ordered), surprise_limit(ordered)
    if none is None or limit is None:
        return None
    least = OF_THE_PEAK * max(dose.rate.share for dose in ordered)
    _, chance = none.rate.interval

    def keeps(dose: Dose) -> bool:
        low, _ = dose.rate.interval
        acts = dose.strength > 0 and dose.rate.share >= least and low > chance
        return acts and dose.surprise < limit

    runs = [[dose.strength for dose in run] for kept, run in groupby(ordered, keeps) if kept]
    longest = max(runs, key=len, default=None)
    return (longest[0], longest[-1]) if longest else None


def surprise_limit(doses: Iterable[Dose]) -> float | None:
    """The surprise the window stays below; None where strength 0 was not measured."""
    none = at_zero(doses)
    return None if none is None else TIMES_THE_SURPRISE * none.surprise


def at_zero(doses: Iterable[Dose]) -> Dose | None:
    """What was measured at strength 0, if it was."""
    return next((dose for dose in doses if dose.strength == 0), None)


def by_strength(doses: Iterable[Dose]) -> list[Dose]:
    """From the most negative strength to the largest."""
    return sorted(doses, key=lambda dose: dose.strength)
