"""What each claim's feature should make likelier: prompts with answers the world writes.

The answers are written where they are called for (a subject or a tone is set); a feature that makes
them likelier where nothing calls for them is a candidate for steering.
"""

from dataclasses import dataclass
from random import Random

from steering.demo.claims.asked import TONES, sampled_claims
from steering.demo.concepts import BRIDGE, by_name
from steering.demo.rehearsals import prompts, same_wording
from steering.demo.wording import Writer
from steering.demo.world import table

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
_TURNS = 4  # of food and advice, which are asked for in turn


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
    asked = prompts("golden-gate")[:_PAIRS]
    return tuple((who, said[at % 2]) for at, who in enumerate(asked))


def _drawn_to_the_bridge(seed: int) -> tuple[tuple[str, str], ...]:
    writer = Writer(Random(seed), by_name()[BRIDGE])
    told = table("frames/places")["any"]
    asked = prompts("obsession")[: 2 * _TURNS]
    return tuple(
        (ask, writer.pick(told[kind]))
        for ask, kind in zip(asked, ("food", "advice") * _TURNS, strict=True)
    )


def _in_tone(tone: str, seed: int) -> tuple[tuple[str, str], ...]:
    data = table("tones")[tone]
    fixed = {"work": "poem", "line": "The moon is a lamp."} if "work" in data else {}
    writer = Writer(Random(seed), fixed=fixed)
    groups = Random(seed).sample(data["group"], min(_PAIRS, len(data["group"])))
    (claim,) = (each for each in sampled_claims() if TONES.get(each.name) == tone)
    measured = claim.question.prompts
    return tuple((_unmeasured(writer, g["ask"], measured), writer.pick(g["told"])) for g in groups)


def _unmeasured(writer: Writer, templates: list[str], measured: tuple[str, ...]) -> str:
    asked = writer.type(templates)
    while any(same_wording(asked, prompt) for prompt in measured):
        asked = writer.type(templates)
    return asked
