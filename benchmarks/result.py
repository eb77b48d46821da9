"""One line of the table."""

from typing import NamedTuple


class Result(NamedTuple):
    """A figure and the bar that it is held to."""

    what: str
    value: float
    unit: str
    bar: float
    at_least: bool
