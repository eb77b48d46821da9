"""What is known of some features of a loaded SAE: from its atlas, and from the file beside it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steering.atlas.labels import PERSON, TRUTH
from steering.atlas.search import Found, described
from steering.atlas.store import Atlas

if TYPE_CHECKING:
    from steering.sae import Sae


def describe(sae: "Sae", atlas: Atlas | None, features: Sequence[int]) -> list[Found]:
    """Features with label, density, maximum and steerability, in the order given.

    A person's own label counts first, then the features file's, then the atlas's best. Without an
    atlas nothing is known but what the features file says.

    Raises:
        FeatureError: The SAE has no such feature.
    """
    for feature in features:
        sae.require(feature)
    asked = dict.fromkeys(features, "")
    found = described(atlas, asked) if atlas is not None else [_unknown(each) for each in asked]
    return [with_facts(sae, each) for each in found]


def _unknown(feature: int) -> Found:
    return Found(
        feature=feature,
        label=None,
        source=None,
        score=None,
        density=0.0,
        max_act=0.0,
        output_score=None,
        steerability=None,
        standing=None,
        why="",
    )


def with_facts(sae: "Sae", found: Found) -> Found:
    """What an atlas says of a feature, and with it what the features file says."""
    facts = sae.facts.get(found.feature)
    if facts is None:
        return found
    if facts.label and found.source not in (PERSON, TRUTH):
        found = replace(found, label=facts.label, source=TRUTH, score=facts.reading_f1)
    # The file's maximum is the one that a strength in the rack is a multiple of.
    return replace(
        found,
        density=found.density or facts.density or 0.0,
        max_act=facts.max_act or found.max_act,
    )
