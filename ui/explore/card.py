"""One feature's card: figures, histogram, examples with their heat, tokens."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from steering.atlas.cards import (
    Card,
    Example,
    TokenGain,
    examples,
    histogram,
    samples,
    show,
)
from steering.atlas.labels import PERSON
from steering.atlas.store import Atlas
from steering.errors import AtlasError
from ui.explore.around import around
from ui.explore.table import bars
from ui.feature_lines import feature_name, percent, steers
from ui.host import Host
from ui.rack import label_of

if TYPE_CHECKING:
    from steering.session import Session

CardView = dict[str, Any]
EMPTY: CardView = {"feature": None}
BARS = 40
QUANTILES = (0.5, 0.9, 0.99)
LONGEST_LABEL = 500
MOST_SAMPLES = 3
"""Of each tenth."""


def card_of(host: Host, alias: str, feature: int) -> CardView:
    """Everything that the page shows of a feature; without an atlas, what is known all the same.

    Raises:
        FeatureError: The SAE has no such feature.
        AtlasError: There is an atlas that cannot be read.
    """
    session = host.session
    session.saes[alias].require(feature)
    atlas = session.atlas(alias)
    return {
        "sae": alias,
        "feature": feature,
        "name": feature_name(session, alias, feature),
        "label": label_of(session, alias, feature),
        "writable": host.trusted,
        "neuronpedia": _address(session, alias, feature),
        "own": "",
        **around(session, alias, feature, atlas),
        **({"known": False} if atlas is None else _known(atlas, feature)),
    }


def rename(host: Host, alias: str, feature: int, text: str) -> None:
    """Give a feature a person's own label; an empty one takes it away.

    Raises:
        AtlasError: Strangers may not write here, the label is too long, or it cannot be written.
    """
    if not host.trusted:
        raise AtlasError("This page is open to others, so it writes no labels.")
    if len(text) > LONGEST_LABEL:
        raise AtlasError(
            f"The label has {len(text)} characters, and at most {LONGEST_LABEL} are kept. Shorten "
            "it."
        )
    host.session.label(feature, text, alias)


def _address(session: "Session", alias: str, feature: int) -> str | None:
    """The page of Neuronpedia, where the SAE says which one that is."""
    known = session.saes[alias].neuronpedia_id
    return f"https://www.neuronpedia.org/{quote(known)}/{feature}" if known else None


def _known(atlas: Atlas, feature: int) -> dict[str, Any]:
    """What an atlas says of a feature."""
    card = show(atlas, feature)
    seen = histogram(atlas, feature)
    return {
        "known": card.fired > 0 or bool(card.promoted),
        "own": next((each.text for each in card.labels if each.source == PERSON), ""),
        "labels": [
            {"text": each.text, "source": each.source, "score": _two(each.score)}
            for each in card.labels
        ],
        "facts": _facts(card, atlas.about.tokens),
        "badge": steers(card.output_score, card.steerability, card.standing),
        "histogram": [
            {"height": top, "from": f"{low:.3g}", "to": f"{high:.3g}", "count": f"{count:,}"}
            for top, low, high, count in bars(seen, BARS)
        ],
        "examples": [_example(each, card.max_act) for each in examples(atlas, feature)],
        "tenths": _tenths(samples(atlas, feature), card.max_act),
        "promoted": _gains(card.promoted),
        "demoted": _gains(card.demoted),
    }


def _two(score: float | None) -> str | None:
    return None if score is None else f"{score:.2f}"


def _facts(card: Card, tokens: int) -> list[list[str]]:
    """Names and figures, in the order in which they are read."""
    norm = [] if card.decoder_norm is None else [["decoder norm", f"{card.decoder_norm:.4g}"]]
    if not card.fired:
        return [["fires on", f"none of {tokens:,} tokens"], *norm]
    found = [
        ["fires on", f"{percent(card.density)} of {tokens:,} tokens"],
        ["max act", f"{card.max_act:.4g}"],
        ["mean where it fires", f"{card.mean_act:.4g}"],
    ]
    quantiles = [card.quantiles[share] for share in QUANTILES if share in card.quantiles]
    if len(quantiles) == len(QUANTILES):
        shown = " / ".join(f"{quantile:.3g}" for quantile in quantiles)
        found.append(["median / 90 % / 99 % where it fires", shown])
    found += norm
    if card.cluster:
        found.append(["cluster", card.cluster])
    return found


def _example(example: Example, maximum: float) -> dict[str, Any]:
    """A context; heat is a share of the feature's maximum."""
    scale = maximum or 1.0
    pairs = zip(example.pieces, example.acts, strict=True)
    return {
        "act": f"{example.act:.3g}",
        "at": example.at,
        "pieces": [[piece, round(act / scale, 3)] for piece, act in pairs],
    }


def _tenths(found: list[Example], maximum: float) -> list[dict[str, Any]]:
    """A few contexts of each tenth of the range, the highest tenth first."""
    by_tenth: dict[int, list[Example]] = {}
    for each in found:
        by_tenth.setdefault(each.tenth or 0, []).append(each)
    return [
        {
            "title": f"{maximum * tenth / 10:.3g} to {maximum * (tenth + 1) / 10:.3g}",
            "examples": [_example(each, maximum) for each in inside[:MOST_SAMPLES]],
        }
        for tenth, inside in sorted(by_tenth.items(), reverse=True)
    ]


def _gains(tokens: tuple[TokenGain, ...]) -> list[list[str]]:
    return [[token.text, f"{token.gain:+.2f}"] for token in tokens]
