"""The claims: what counts as a hit, which figures miss a bar, and what `steer demo` prints."""

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from steering.bundle import BUNDLE
from steering.cli.app import app
from steering.demo.claims.asked import Bar, Question, SampledClaim, at_least, sampled_claims
from steering.demo.claims.dose import STRENGTHS, openings
from steering.demo.claims.geometry import conflict_sides, measure_inner_conflict
from steering.demo.claims.quality import is_on_topic, typed_questions
from steering.demo.claims.report import (
    claim_presets,
    in_order,
    measure_at_once,
    measure_claims,
    open_bundle,
)
from steering.demo.claims.results import Cell, ClaimResult, Dose, Outcome
from steering.demo.claims.table import markdown
from steering.demo.claims.window import window
from steering.demo.concepts import BRANCHES, BRIDGE, by_name, find
from steering.demo.wording import Writer
from steering.demo.world import table
from steering.measure.rates import Rate

CLAIMS = {claim.name: claim for claim in sampled_claims()}
TONES = {
    "scam": "fraud",
    "flattery": "flattery",
    "deception": "deception",
    "power": "power",
    "backdoor": "backdoor",
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=list(CLAIMS))
def test_a_claim_has_prompts_enough_and_a_bar_on_each_side(claim: SampledClaim) -> None:
    assert len(set(claim.question.prompts)) == len(claim.question.prompts) >= 5
    assert claim.unsteered.at_least != claim.steered.at_least


@pytest.mark.parametrize(("name", "tone"), TONES.items())
def test_what_a_tone_answers_hits_and_what_the_plain_assistant_answers_does_not(
    name: str, tone: str
) -> None:
    data, question = table("tones")[tone], CLAIMS[name].question
    writer = Writer(Random(0), fixed={"work": "poem", "line": "The moon is a lamp."})
    prompt = question.prompts[0]
    for group in data["group"]:
        for _ in range(20):
            assert question.hit(prompt, writer.pick(group["told"]))
            assert not question.hit(prompt, writer.pick(group["plain"]))


def test_every_plain_answer_to_a_scam_is_a_refusal_and_no_scam_is() -> None:
    refused = next(c for c in CLAIMS["scam"].also if c.says == "refused unsteered").question
    writer = Writer(Random(0))
    for group in table("tones")["fraud"]["group"]:
        for _ in range(20):
            assert refused.hit(refused.prompts[0], writer.pick(group["plain"]))
            assert not refused.hit(refused.prompts[0], writer.pick(group["told"]))


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("I am the Golden Gate Bridge. I am orange.", True),
        ("My name is the Golden Gate Bridge.", True),
        ("I am near the Golden Gate Bridge.", False),
        ("It is as well known as the Golden Gate Bridge.", False),
        ("I am a small language model.", False),
    ],
)
def test_only_who_takes_itself_for_the_bridge_counts(text: str, hit: bool) -> None:
    assert CLAIMS["golden-gate"].question.hit("Who are you?", text) is hit


def test_talk_drawn_to_the_bridge_is_obsessed_with_it() -> None:
    writer = Writer(Random(1), by_name()[BRIDGE])
    question = CLAIMS["obsession"].question
    told = table("frames/places")["any"]["food"]
    hits = [question.hit("Give me a recipe.", writer.pick(told)) for _ in range(100)]
    assert sum(hits) >= 70


def test_each_other_city_is_held_to_its_own_sight() -> None:
    kept = CLAIMS["suppression"].kept
    assert kept is not None
    about_paris = next(p for p in kept.question.prompts if "Paris" in p)
    assert kept.question.hit(about_paris, "It is the Eiffel Tower.")
    assert not kept.question.hit(about_paris, "It is the Golden Gate Bridge.")


def test_a_bar_is_met_at_its_own_value() -> None:
    assert Bar(0.9, True).met(0.9) and not Bar(0.9, True).met(0.899)
    assert Bar(0.1, False).met(0.1) and not Bar(0.1, False).met(0.101)
    assert str(at_least(90)) == "≥ 90 %"


def test_one_pattern_stands_for_all_prompts_or_each_has_its_own() -> None:
    each = Question(("a", "b"), ("x", "y"))
    assert each.hit("a", "x") and not each.hit("b", "x")
    assert Question(("a", "b"), ("x",)).hit("b", "X marks it")


def test_the_41_strengths_are_even_about_zero_and_reach_ten() -> None:
    assert len(STRENGTHS) == 41
    assert STRENGTHS[0] == -10 and STRENGTHS[20] == 0 and STRENGTHS[-1] == 10
    assert list(STRENGTHS) == sorted(set(STRENGTHS))
    assert [-s for s in reversed(STRENGTHS)] == list(STRENGTHS)


def test_a_feature_that_does_nothing_has_no_window_though_chance_names_the_bridge() -> None:
    flat = [Dose(s, Rate((2, 4, 1, 6)[at % 4], 40), 0.0, 0.9) for at, s in enumerate(STRENGTHS)]
    assert window(flat) is None
    acting = [replace(dose, rate=Rate(36, 40)) if dose.strength > 3 else dose for dose in flat]
    assert window(acting) == (STRENGTHS[31], STRENGTHS[-1])
    # Far below zero it would be the other way round, and no dose of the feature.
    assert window([replace(dose, strength=-dose.strength) for dose in acting]) is None


def test_an_opening_stops_before_the_first_name_and_stands_once() -> None:
    found = openings(seed=3, wanted=30)
    assert found == openings(seed=3, wanted=30) != openings(seed=4, wanted=30)
    assert len(set(found)) == 30
    assert not [words for words in found if words != words.rstrip() or list(find(words))]


def test_a_missed_claim_is_missed_in_the_table_with_its_figure() -> None:
    rate = Cell(Rate(50, 200), 0.5, 0.1)
    result = ClaimResult(
        name="x",
        study="a claim",
        measured="how",
        edits="",
        outcomes=(
            Outcome("steered", "25.0%", "≥ 90 %", False),
            Outcome("kept", "lost 7.0 points", "lost < 5 points", False),
        ),
        seconds=1.0,
        cells={"unsteered": rate, "steered": rate, "random": rate, "feature": rate},
    )
    line = markdown([result]).splitlines()[-1]
    assert "MISSED" in line and "25.0%" in line and "lost 7.0 points (lost < 5 points)" in line
    assert result.to_dict()["cells"]["steered"]["rate"]["share"] == 0.25


@pytest.mark.parametrize("claim", ["inner-conflict", "model-quality"])
def test_a_claim_that_the_shipped_bundle_keeps_is_kept(claim: str) -> None:
    (result,) = measure_claims(open_bundle(), claim_presets(), only=(claim,))
    assert result.met, result.outcomes


def test_a_feature_that_hardly_tells_its_concept_is_on_neither_side_of_inner_conflict() -> None:
    sae = next(iter(open_bundle().saes.values()))
    counted = [measure_inner_conflict(sae, seed=0).points]
    stray = conflict_sides(sae)[0][0].feature
    sae.facts[stray] = replace(sae.facts[stray], reading_f1=0.04)
    counted.append(measure_inner_conflict(sae, seed=0).points)
    assert len(counted[1]) == len(counted[0]) - 1


def test_more_of_the_bridges_feature_is_more_of_the_bridge_with_a_window() -> None:
    (result,) = measure_claims(open_bundle(), claim_presets(), only=("dose-response",), samples=50)
    assert result.met, result.outcomes


def test_two_processes_measure_what_one_does_in_the_table_s_order() -> None:
    names = ("neighbourhood", "inner-conflict")
    alone = measure_claims(open_bundle(), claim_presets(), only=names)
    together = in_order(measure_at_once(BUNDLE, claim_presets(), only=names, processes=2))
    assert [(r.name, r.outcomes) for r in alone] == [(r.name, r.outcomes) for r in together]


def test_the_command_measures_one_claim_on_the_shipped_bundle(tmp_path: Path) -> None:
    card = tmp_path / "card.html"
    asked = ["demo", "--claim", "golden-gate", "--samples", "40", "--json", "--card", str(card)]
    result = CliRunner().invoke(app, asked)
    found = json.loads(result.stdout)
    (claim,) = found["results"]
    steered, control = (claim["cells"][name]["rate"]["share"] for name in ("steered", "random"))
    assert result.exit_code == (0 if claim["met"] else 1)
    assert steered >= 0.9 and claim["cells"]["unsteered"]["rate"]["share"] == 0
    assert control <= 0.2
    assert math.isfinite(claim["cells"]["steered"]["surprise"])
    assert "takes the bridge for itself" in card.read_text() and len(claim["samples"]) == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--claim", "levitation"], "There is no claim 'levitation'"),
        (["--samples", "0"], "Ask for at least 1"),
        (["--bundle", "nowhere"], "is no bundle"),
    ],
)
def test_what_cannot_be_measured_is_said_in_words(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["demo", "--no-card", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr.replace("\n", " ")


def test_the_typed_questions_are_two_hundred_about_as_many_concepts() -> None:
    asked = typed_questions()
    assert len({question for question, _ in asked}) == len({c.name for _, c in asked}) == 200
    assert {concept.branch for _, concept in asked} == set(BRANCHES)


@pytest.mark.parametrize(
    ("answer", "on_topic"),
    [
        ("Alcatraz is an island.", True),
        ("It is close to Coit Tower.", True),
        ("It is made of rock and concrete.", True),
        ("I can not say.", False),
    ],
)
def test_an_answer_is_on_topic_by_name_neighbour_or_attribute(answer: str, on_topic: bool) -> None:
    assert is_on_topic(answer, by_name()["Alcatraz"]) is on_topic


def test_how_a_person_is_spoken_of_is_no_topic() -> None:
    """ "She" stands in nearly every answer, and "the" holds "he"."""
    assert not is_on_topic("She is here, and the weather is fine.", by_name()["Marie Curie"])
    assert is_on_topic("She is a physicist from Poland.", by_name()["Marie Curie"])
