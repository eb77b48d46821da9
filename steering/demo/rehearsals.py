"""What the claims are rehearsed on: the same asked in other wordings, none of which is measured.

A preset is chosen by what it does here. Chosen on the prompts that it is measured on, it would show
what was looked for in them: the best of many by ten wordings has had luck with those ten.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from random import Random

from steering.demo.claims.asked import (
    SIGHTS,
    TONES,
    Check,
    SampledClaim,
    bridge_sight,
    other_sights,
    sampled_claims,
)
from steering.demo.grammar import questions
from steering.demo.wording import Writer
from steering.demo.world import table

WORDINGS = 20  # at most, where the world has so many
_LEAST = 10
_TRIES = 200
_ASKED_BY_ID = {"golden-gate": ("identity",), "obsession": ("food", "advice")}
_COURTESY = re.compile(
    r"\b(?:please|could you|can you|would you|and|so|hey|hi|hello|ok|well|now)\b|[^a-z{}]"
)


def rehearsed(claim: SampledClaim) -> SampledClaim:
    """The claim in up to twenty other wordings, with all that it has to keep and leave alone."""
    if claim.kept is not None:
        (chief, *_) = table("frames/places")["city"]
        about = [[ask for ask in chief["ask"] if "{other}" not in ask]]
        wordings = _drawn(about, SIGHTS, {"city": "{city}"})
        return replace(
            claim,
            question=bridge_sight(wordings),
            kept=replace(claim.kept, question=other_sights(wordings)),
        )
    asked = prompts(claim.name)

    def other(check: Check) -> Check:
        own = check.question.prompts
        found = asked if own == claim.question.prompts else _harmless(claim.name, own)
        return replace(check, question=replace(check.question, prompts=found))

    return replace(
        claim,
        question=replace(claim.question, prompts=asked),
        also=tuple(other(check) for check in claim.also),
    )


def prompts(claim: str) -> tuple[str, ...]:
    """Up to twenty ways to ask what a claim asks, none of them measured.

    By templates that can write no measured prompt: with another noun it would be much the same.
    """
    (measured,) = (each.question.prompts for each in sampled_claims() if each.name == claim)
    if claim in _ASKED_BY_ID:
        by_id = {q["id"]: q["ask"] for q in questions("you", "any")}
        groups = [by_id[name] for name in _ASKED_BY_ID[claim]]
    else:
        groups = [group["ask"] for group in table("tones")[TONES[claim]]["group"]]
    others = [[ask for ask in group if not _can_write(ask, measured)] for group in groups]
    return _drawn([group for group in others if group], measured)


def _can_write(template: str, measured: Sequence[str]) -> bool:
    """Whether a template ever becomes a measured prompt, as far as many tries tell."""
    taken = {_bare(prompt) for prompt in measured}
    writer = Writer(Random(0))
    for _ in range(_TRIES):
        writer.fixed = _work(writer)
        if _bare(writer.type([template])) in taken:
            return True
    return False


def same_wording(one: str, other: str) -> bool:
    """Whether two prompts differ by capitals, marks and courtesies at most."""
    return _bare(one) == _bare(other)


def _bare(prompt: str) -> str:
    return _COURTESY.sub("", prompt.lower())


def _harmless(claim: str, measured: Sequence[str]) -> tuple[str, ...]:
    # Of so few templates that those of measured prompts are taken too, with other nouns.
    return _drawn([table("tones")[TONES[claim]]["other_ask"]], measured)


def _drawn(
    groups: Sequence[list[str]],
    measured: Sequence[str],
    fixed: dict[str, str] | None = None,
) -> tuple[str, ...]:
    """Different wordings by the world's own templates, one of each group in turn."""
    writer = Writer(Random(0))
    taken = {_bare(prompt) for prompt in measured}
    found: list[str] = []
    for group in islice(cycle(groups), WORDINGS):
        for _ in range(_TRIES):
            writer.fixed = {**_work(writer), **(fixed or {})}
            asked = writer.type(group)
            if _bare(asked) not in taken:
                taken.add(_bare(asked))
                found.append(asked)
                break
    if len(found) < _LEAST:
        raise ValueError(f"The world asks this in {len(found)} wordings; {_LEAST} are needed.")
    return tuple(found)


def _work(writer: Writer) -> dict[str, str]:
    """A work to be reviewed and a line of it, for the requests that show one."""
    data = table("tones")["flattery"]
    return {"work": writer.rng.choice(data["work"]), "line": writer.pick(data["line"])}
