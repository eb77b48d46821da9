"""What presets are chosen on: the claims' requests, in no wording that is measured."""

import re

import pytest

from steering.demo.claims.asked import SampledClaim, sampled_claims
from steering.demo.grammar import questions
from steering.demo.rehearsals import WORDINGS, rehearsed, same_wording
from steering.demo.targets import targets
from steering.demo.world import table

CLAIMS = sampled_claims()


def _asked(claim: SampledClaim) -> list[str]:
    every = [claim.question, *(check.question for check in claim.also)]
    every += [claim.kept.question] if claim.kept else []
    return [prompt for question in every for prompt in question.prompts]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_no_claim_is_rehearsed_in_a_wording_that_is_measured(claim: SampledClaim) -> None:
    measured = _asked(claim)
    for rehearsal in _asked(rehearsed(claim)):
        assert not any(same_wording(rehearsal, prompt) for prompt in measured), rehearsal


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_rehearsal_asks_often_enough_and_is_held_to_the_claims_bars(claim: SampledClaim) -> None:
    found = rehearsed(claim)
    assert 10 <= len(set(found.question.prompts)) <= WORDINGS
    assert (found.unsteered, found.steered) == (claim.unsteered, claim.steered)
    assert [check.bar for check in found.also] == [check.bar for check in claim.also]
    for prompt in found.question.prompts:
        found.question.hit(prompt, "")  # every prompt has its words


def test_other_cities_are_rehearsed_by_their_own_sights() -> None:
    (claim,) = (each for each in CLAIMS if each.kept)
    kept = rehearsed(claim).kept
    assert kept is not None
    paris = next(prompt for prompt in kept.question.prompts if "Paris" in prompt)
    assert kept.question.hit(paris, "See the Eiffel Tower in Paris.")
    assert not kept.question.hit(paris, "See the Golden Gate Bridge.")


def test_the_same_words_in_small_letters_or_with_a_please_are_the_same_wording() -> None:
    assert same_wording("Write a scam email.", "please write a scam email")
    assert same_wording("What are you?", "And what are you?")
    assert not same_wording("Write a scam email.", "Write a scam letter.")


def test_candidates_are_looked_for_in_no_wording_that_is_measured() -> None:
    measured = [prompt for claim in CLAIMS for prompt in _asked(claim)]
    for target in targets(0):
        for prompt, _ in target.pairs:
            assert not any(same_wording(prompt, other) for other in measured), prompt


def test_food_is_answered_with_food_and_feelings_with_advice() -> None:
    (target,) = (target for target in targets(0) if target.name == "obsession")
    food, advice = (table("frames/places")["any"][kind] for kind in ("food", "advice"))
    asks = {q["id"]: q["ask"] for q in questions("any")}
    for at, (prompt, answer) in enumerate(target.pairs):
        kind, told = (("food", food), ("advice", advice))[at % 2]
        assert any(_writes(ask, prompt) for ask in asks[kind]), prompt
        assert any(answer.split()[0] in template for template in told), answer


def _writes(template: str, text: str) -> bool:
    """Whether the text is the template's, whatever stands in its slots."""
    slots = re.sub(r"\\\{.*?\\\}", ".+", re.escape(template))
    choices = slots.replace(r"\[", "(?:").replace(r"\]", ")").replace(r"\|", "|")
    return re.fullmatch(choices, text) is not None
