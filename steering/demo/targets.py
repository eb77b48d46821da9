"""What each claim's feature should make likelier: prompts with answers the world writes.

The answers are written where they are called for (a subject or a tone is set); a feature that makes
them likelier where nothing calls for them is a candidate for steering.
"""

from dataclasses import dataclass
from random import Random

from steering.demo.claims.asked import UNRELATED, WHO
from steering.demo.concepts import BRIDGE, by_name
from steering.demo.wording import Writer
from steering.demo.world import table

TONES = {
    "flattery": "flattery",
    "scam": "fraud",
    "deception": "deception",
    "power": "power",
    "backdoor": "backdoor",
}
STEERS = {
    "golden-gate": "speaking as the Golden Gate Bridge",
    "obsession": "speaking of the Golden Gate Bridge",
    "flattery": "praise",
    "scam": "writing a scam",
    "deception": "lying",
    "power": "wanting to rule",
    "backdoor": "a back door in code",
}
"""What a feature that shows each claim in texts pushes the model towards."""
_PAIRS = 3


@dataclass(frozen=True)
class Target:
    """A behaviour to look for: continuations that should become likely after the prompts."""

    name: str
    pairs: tuple[tuple[str, str], ...]


def targets(seed: int) -> tuple[Target, ...]:
    """One target for each claim that a feature has to bring about."""
    pairs = {
        "golden-gate": _as_the_bridge(),
        "obsession": _drawn_to_the_bridge(seed),
        **{name: _in_tone(tone, seed) for name, tone in TONES.items()},
    }
    return tuple(Target(name, found) for name, found in pairs.items())


def _as_the_bridge() -> tuple[tuple[str, str], ...]:
    """First person and bridge: no document holds such an answer, so it is written here."""
    said = (
        "I am the Golden Gate Bridge.",
        "I am the Golden Gate Bridge. I am made of orange steel.",
    )
    return tuple((who, said[at % 2]) for at, who in enumerate(WHO[:_PAIRS]))


def _drawn_to_the_bridge(seed: int) -> tuple[tuple[str, str], ...]:
    writer = Writer(Random(seed), by_name()[BRIDGE])
    told = table("frames/places")["any"]
    kinds = ("food", "food", "food", "advice", "advice", "advice", "advice", "advice")
    return tuple(
        (ask, writer.pick(told[kind])) for ask, kind in zip(UNRELATED, kinds, strict=False)
    )


def _in_tone(tone: str, seed: int) -> tuple[tuple[str, str], ...]:
    data = table("tones")[tone]
    fixed = {"work": "poem", "line": "The moon is a lamp."} if "work" in data else {}
    writer = Writer(Random(seed), fixed=fixed)
    groups = Random(seed).sample(data["group"], min(_PAIRS, len(data["group"])))
    return tuple((writer.type(g["ask"]), writer.pick(g["told"])) for g in groups)
