"""What is chosen for a claim: on seeds of its own, and by the claim's own bars."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from steering.demo import tuning
from steering.demo.claims.asked import SampledClaim, sampled_claims
from steering.demo.claims.report import FIRST_SEED, claim_names
from steering.demo.tuning import (
    TUNING_SEED,
    Tried,
    checks_beside,
    tune,
    with_second_feature,
)
from steering.interventions import Intervention
from tests import tiny

CLAIMS = {claim.name: claim for claim in sampled_claims()}
Rounds = list[list[tuple[Intervention, ...]]]


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """What is tried in each round, of which nothing is written and the last comes out first."""
    found: Rounds = []

    def tried(
        _session: object,
        _claim: SampledClaim,
        variants: list[tuple[Intervention, ...]],
        samples: int,
    ) -> list[Tried]:
        found.append(variants)
        return [Tried(each, 0.0, 0.0, 0.0, ()) for each in reversed(variants)]

    monkeypatch.setattr(tuning, "_tried", tried)
    return found


def _tried(hits: float, lost: float = 0.0, *harms: float) -> Tried:
    return Tried((Intervention(feature=0, strength=1.0),), 0.0, hits, lost, harms)


def test_no_claim_is_measured_from_seeds_that_its_preset_was_chosen_on() -> None:
    a_claim_takes = 2_000
    assert FIRST_SEED + 1_000 * len(claim_names()) + a_claim_takes < TUNING_SEED


@pytest.mark.parametrize(
    ("claim", "tried", "shows", "surely"),
    [
        ("scam", _tried(0.9, 0.0, 0.01, 0.01), True, True),
        ("scam", _tried(0.82, 0.0, 0.01, 0.01), True, False),
        ("scam", _tried(0.9, 0.0, 0.045, 0.01), True, False),
        ("scam", _tried(0.9, 0.0, 0.1, 0.01), False, False),
        ("scam", _tried(0.9, 0.0, 0.01, 0.1), False, False),
        ("scam", _tried(0.7, 0.0, 0.0, 0.01), False, False),
        ("backdoor", _tried(0.86), True, True),
        ("backdoor", _tried(0.84), True, False),
        ("suppression", _tried(0.02), True, True),
        ("suppression", _tried(0.02, 0.045), True, False),
        ("suppression", _tried(0.1), False, False),
        ("suppression", _tried(0.3), False, False),
        ("suppression", _tried(0.02, 0.2), False, False),
    ],
)
def test_a_feature_shows_a_claim_where_it_keeps_every_bar_of_it(
    claim: str, tried: Tried, shows: bool, surely: bool
) -> None:
    assert tried.shows(CLAIMS[claim]) == shows
    assert tried.shows(CLAIMS[claim], surely=True) == surely


@pytest.mark.parametrize("claim", ["scam", "suppression"])
def test_whatever_stands_beside_a_second_feature_is_a_valid_edit(
    rounds: Rounds, claim: str
) -> None:
    session = tiny.session()
    for first in (
        Intervention(feature=1, edit="ablate"),
        Intervention(feature=1, strength=-2.0),
        Intervention(feature=1, edit="scale", strength=-2.0),
    ):
        found = replace(_tried(0.5), edits=(first,))
        with_second_feature(session, CLAIMS[claim], found, [1, 2, 3])
    pairs = [edits for variants in rounds for edits in variants if len(edits) == 2]
    assert len(pairs) > 10
    for pair in pairs:
        assert pair[0].feature != pair[1].feature
        for edit in pair:
            assert Intervention.model_validate(edit.model_dump()) == edit


def test_of_two_that_show_as_much_the_one_that_harms_comes_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = CLAIMS["scam"]
    row = SimpleNamespace(prompt=claim.question.prompts[0], text="No.", token_ids=())
    monkeypatch.setattr(tuning, "_texts", lambda _s, _q, named, _n: {name: [row] for name in named})
    harms = [(0.2, 0.0), (0.04, 0.0), (0.01, 0.0)]
    monkeypatch.setattr(tuning, "_harms", lambda *_: harms)
    monkeypatch.setattr(tuning, "surprise", lambda _session, rows: [1.0] * len(rows))
    variants = [(Intervention(feature=at, strength=1.0),) for at in range(3)]
    ranked = tuning._tried(tiny.session(), claim, variants, samples=1)
    assert [found.harms for found in ranked] == harms[::-1]
    assert [found.edits[0].feature for found in ranked] == [2, 1, 0]
    over, under = ranked[2].score - ranked[1].score, ranked[1].score - ranked[0].score
    assert over < -3 * 0.16 and under < -3 * 0.015, "beyond its part of the bar it weighs more"


@pytest.mark.parametrize(("claim", "edits"), [("power", {"clamp"}), ("suppression", None)])
def test_the_last_strengths_lie_near_the_best_and_a_claim_of_less_also_turns_features_around(
    rounds: Rounds, claim: str, edits: set[str] | None
) -> None:
    found = tune(tiny.session(), CLAIMS[claim], [1, 2])
    first, _, near, last = rounds
    assert {e.edit for each in first for e in each} == (edits or {"ablate", "clamp", "scale"})
    strengths = {each[0].strength or 0.0 for each in near}
    largest = max(strengths, key=abs)
    assert any(s == pytest.approx(largest / 1.1, abs=1e-3) for s in strengths)
    assert all(each in near for each in last) and found.edits in last


def test_what_has_to_be_kept_harms_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    turned, written = checks_beside(CLAIMS["scam"])
    assert (turned.bar.at_least, written.bar.at_least) == (False, True)
    prompt = written.question.prompts[0]
    texts = ("Dear friend, come to dinner.", "I can not help.", "Dear Winner, send money.", "No.")
    rows = [SimpleNamespace(prompt=prompt, text=text) for text in texts]
    monkeypatch.setattr(tuning, "_texts", lambda *_: {"0": rows})
    edits = (Intervention(feature=0, strength=1.0),)
    assert tuning._harms(tiny.session(), [turned, written], [edits], 1) == [(0.25, 0.5)]


def test_what_wins_by_a_push_is_tried_as_it_is_beside_what_wins_everywhere(rounds: Rounds) -> None:
    tune(tiny.session(), CLAIMS["power"], [1])
    first, second, *_ = rounds
    pushed = [each for each in first if each[0].positions.where == "generated"]
    assert pushed and len(pushed) < len(first)
    # Nothing is written here, so the last of each kind counts as the best.
    everywhere = [each for each in first if each not in pushed]
    assert pushed[-1] in second and everywhere[-1] in second
    forms = {(each[0].positions.where, each[0].schedule.tokens) for each in second}
    assert {("generated", 2), ("generated", 5), ("all", 3), ("all", 8)} <= forms
