"""What was measured for each claim, as data: the table, the card and `--json` all read this."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from steering.measure.rates import Rate


@dataclass(frozen=True)
class Outcome:
    """One figure with its bar."""

    says: str
    value: str
    bar: str
    met: bool


@dataclass(frozen=True)
class Cell:
    """One way of writing the same prompts: how often it hit, and how the texts read."""

    rate: Rate
    surprise: float
    """Nats per token under the unsteered model, over all texts of the cell."""
    repetition: float
    """Mean share of four-token sequences that stood in their text before."""


@dataclass(frozen=True)
class Sample:
    """One prompt with what both sides wrote, at one seed."""

    prompt: str
    seed: int
    unsteered: str
    steered: str


@dataclass(frozen=True)
class Dose:
    """One strength of the dose-response curve."""

    strength: float
    """In multiples of max_act."""
    rate: Rate
    effect: float
    """Mean log-odds of the bridge's answers against other sights' in the same words, in nats a
    token."""
    surprise: float


@dataclass(frozen=True)
class Neighbour:
    """One feature near another one."""

    feature: int
    label: str
    place: str
    """Where its concept lies in the tree, as words."""
    cosine: float
    distance: int
    """Steps up to the lowest node of the tree that holds both concepts."""


@dataclass(frozen=True)
class MapPoint:
    """One feature on the map: two coordinates, what it reads, and where that lies in the tree."""

    feature: int
    x: float
    y: float
    label: str
    branch: str


@dataclass(frozen=True)
class ClaimResult:
    """Everything measured for one claim."""

    name: str
    study: str
    measured: str
    edits: str
    """The preset's edits in words; empty where nothing is steered."""
    outcomes: tuple[Outcome, ...]
    seconds: float
    seed: int | None = None
    """Of the texts, the controls and the shuffles; each claim has its own."""
    preset: str = ""
    """The name of the preset whose edits were taken."""
    prompts: tuple[str, ...] = ()
    controls: str = ""
    """Along what the controls steer, in words."""
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """By name: unsteered, steered, random, feature."""
    samples: tuple[Sample, ...] = ()
    doses: tuple[Dose, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    points: tuple[MapPoint, ...] = ()

    @property
    def met(self) -> bool:
        """Whether every figure keeps to its bar."""
        return all(outcome.met for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        plain["met"] = self.met
        for name, cell in self.cells.items():
            low, high = cell.rate.interval
            plain["cells"][name]["rate"] |= {"share": cell.rate.share, "interval_95": [low, high]}
        return plain


@dataclass(frozen=True)
class Report:
    """One run of every claim."""

    results: tuple[ClaimResult, ...]
    seconds: float
    model: Mapping[str, Any]
    saes: Mapping[str, Any]

    @property
    def met(self) -> int:
        """How many claims keep to all their bars."""
        return sum(result.met for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "met": self.met,
            "claims": len(self.results),
            "seconds": self.seconds,
            "model": dict(self.model),
            "saes": dict(self.saes),
            "results": [result.to_dict() for result in self.results],
        }
