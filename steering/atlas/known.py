"""What is known of some features of a loaded SAE: from its atlas, and from the file beside it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steering.atlas.labels import PERSON, TRUTH, shown_labels
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
    return with_facts(sae, atlas, found)


def labels_known(sae: "Sae", atlas: Atlas | None) -> dict[int, str]:
    """The label of every feature that has one, as `describe` says it."""
    told = {feature: facts.label for feature, facts in sae.facts.items() if facts.label}
    shown = {} if atlas is None else shown_labels(atlas)
    kept = {f: each.text for f, each in shown.items() if f not in told or _before_file(each.source)}
    return {**told, **kept}


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


def _before_file(source: str | None) -> bool:
    """Whether a label in an atlas counts before the features file's."""
    return source in (PERSON, TRUTH)


def with_facts(sae: "Sae", atlas: Atlas | None, found: Sequence[Found]) -> list[Found]:
    """What an atlas says of features, and with it what the features file says.

    How often one fires is what an atlas with statistics says, as on its card, also where that is
    never.
    """
    measured = atlas is not None and atlas.about.tokens > 0
    return [_with_facts(sae, each, measured) for each in found]


def _with_facts(sae: "Sae", found: Found, measured: bool) -> Found:
    facts = sae.facts.get(found.feature)
    if facts is None:
        return found
    if facts.label and not _before_file(found.source):
        found = replace(found, label=facts.label, source=TRUTH, score=facts.reading_f1)
    # The file's maximum is the one that a strength in the rack is a multiple of.
    return replace(
        found,
        density=found.density if measured else facts.density or 0.0,
        max_act=facts.max_act or found.max_act,
    )
