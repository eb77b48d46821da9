"""Choices that are kept while all that they follow from stays what it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from steering.demo import choices
from steering.demo.choices import Asked, keep_choice, kept_choice
from steering.demo.claims.asked import sampled_claims
from steering.interventions import Intervention

FLATTERY, SCAM = (c for c in sampled_claims() if c.name in ("flattery", "scam"))
CHOICE = (Intervention(feature=3, strength=1.5), Intervention(feature=4, edit="ablate")), True


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    for name in choices._WEIGHTS:
        file = tmp_path / "bundle" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
    return Asked(tmp_path / "bundle", SCAM, [3, 4, 5], "the best by its texts")


def test_a_choice_comes_back_where_the_same_is_asked(asked: Asked, tmp_path: Path) -> None:
    folder = tmp_path / "choices"
    assert kept_choice(folder, asked) is None
    keep_choice(folder, asked, CHOICE)
    assert kept_choice(folder, asked) == CHOICE
    assert kept_choice(folder, replace(asked, claim=FLATTERY)) is None


@pytest.mark.parametrize("changed", choices._WEIGHTS)
def test_a_choice_is_forgotten_with_the_weights_it_was_made_on(
    asked: Asked, tmp_path: Path, changed: str
) -> None:
    keep_choice(tmp_path, asked, CHOICE)
    (asked.bundle / changed).write_bytes(b"others")
    assert kept_choice(tmp_path, asked) is None


def test_a_choice_is_forgotten_with_its_candidates_its_rule_and_the_claim_s_words(
    asked: Asked, tmp_path: Path
) -> None:
    keep_choice(tmp_path, asked, CHOICE)
    for other in (
        replace(asked, features=[3, 4]),
        replace(asked, rule="the first"),
        replace(asked, claim=replace(SCAM, question=FLATTERY.question)),
    ):
        assert kept_choice(tmp_path, other) is None
    assert kept_choice(tmp_path, asked) == CHOICE
