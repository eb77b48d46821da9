"""Choices that are kept while a bundle's weights, the claim and the rule stay what they were."""

from pathlib import Path

import pytest

from steering.demo import choices
from steering.demo.choices import keep_choice, kept_choice
from steering.demo.claims.asked import sampled_claims
from steering.interventions import Intervention

FLATTERY, SCAM = (c for c in sampled_claims() if c.name in ("flattery", "scam"))
CHOICE = (Intervention(feature=3, strength=1.5), Intervention(feature=4, edit="ablate")), True


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in choices._WEIGHTS:
        file = tmp_path / "bundle" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
    return tmp_path / "bundle"


def test_a_choice_comes_back_for_the_claim_it_was_made_for(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "choices"
    assert kept_choice(folder, bundle, SCAM) is None
    keep_choice(folder, bundle, SCAM, CHOICE)
    assert kept_choice(folder, bundle, SCAM) == CHOICE
    assert kept_choice(folder, bundle, FLATTERY) is None


@pytest.mark.parametrize("changed", choices._WEIGHTS)
def test_a_choice_is_forgotten_with_the_weights_it_was_made_on(
    bundle: Path, tmp_path: Path, changed: str
) -> None:
    keep_choice(tmp_path, bundle, SCAM, CHOICE)
    (bundle / changed).write_bytes(b"others")
    assert kept_choice(tmp_path, bundle, SCAM) is None


def test_a_choice_is_forgotten_with_the_rule_it_was_made_by(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_choice(tmp_path, bundle, SCAM, CHOICE)
    monkeypatch.setattr(choices.inspect, "getsource", lambda _: "another rule")
    assert kept_choice(tmp_path, bundle, SCAM) is None
