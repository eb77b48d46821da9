"""The table of features that were found: by label, by promoted token, by text, for a phrase."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steering.atlas.cards import Histogram, histogram
from steering.atlas.firing import active
from steering.atlas.labels import TRUTH
from steering.atlas.search import Found, described, search, search_promoted
from steering.atlas.store import Atlas
from steering.atlas.suggest import suggest
from steering.errors import AliasError, AtlasError
from steering.interventions import Intervention
from ui.feature_lines import feature_name, percent
from ui.host import Host
from ui.rack import label_of

Table = dict[str, Any]
Group = dict[str, Any]

EMPTY: Table = {"title": "", "groups": []}
WAYS = {
    "label": "Words of its label",
    "token": "A token it promotes",
    "text": "A text that should fire it",
    "phrase": "Suggest for a subject",
}
"""How to search, and what that is called."""
MOST = 30
MOST_OF_A_RANK = 12
MOST_SUGGESTED = 10
BARS = 16
"""Of a sparkline."""


def find(host: Host, alias: str | None, words: str, way: str) -> Table:
    """What a search finds.

    Args:
        host: Whose session knows the SAE.
        alias: Of the SAE.
        words: What to look for; of the way "text", a text.
        way: One of `WAYS`.

    Raises:
        AliasError: No SAE is loaded.
        AtlasError: Nothing was asked, or the way needs an atlas and there is none.
        PromptError: A text that cannot be read.
    """
    if alias is None:
        raise AliasError("No SAE is loaded, so there is no feature to find. Load one with --sae.")
    if not words.strip():
        raise AtlasError(f"There is nothing to search for. {_HINTS[way]}")
    groups = [group for group in _FINDERS[way](host, alias, words) if group["rows"]]
    count = sum(len(group["rows"]) for group in groups)
    shown = f"{words.strip():.60}" + ("…" if len(words.strip()) > 60 else "")
    title = f"{count} found for “{shown}”" if count else f"Nothing found for “{shown}”. {_TRY[way]}"
    return {"title": title, "groups": groups}


_HINTS = {
    "label": "Write words of a label.",
    "token": "Write a token, such as a word.",
    "text": "Paste a text that should fire the feature.",
    "phrase": "Write what the text should be about.",
}
_TRY = {
    "label": "Try other words, or another way to search.",
    "token": "Only a direction's strongest tokens are known. Try another token.",
    "text": "Try a longer text.",
    "phrase": "Try other words, or label more features.",
}


def required_atlas(host: Host, alias: str) -> Atlas:
    """The atlas of an SAE.

    Raises:
        AtlasError: There is none, or it cannot be read.
    """
    atlas = host.session.atlas(alias)
    if atlas is None:
        raise AtlasError(
            f"The SAE {host.session.saes[alias].name!r} has no atlas yet, and this search reads "
            "one. Build it with `steer atlas build`, or search by a text or by labels."
        )
    return atlas


def _by_label(host: Host, alias: str, words: str) -> list[Group]:
    atlas = host.session.atlas(alias)
    hits = [] if atlas is None else search(atlas, words, MOST)
    why = {each.feature: each.why for each in hits}
    for own, feature in host.session.search(words, MOST):
        if own == alias:
            why.setdefault(feature, "")
    return [_group("", rows_of(host, alias, dict(list(why.items())[:MOST])))]


def _by_token(host: Host, alias: str, words: str) -> list[Group]:
    atlas = required_atlas(host, alias)
    found = search_promoted(atlas, words, MOST)
    return [_group("", [_row(host, alias, atlas, each) for each in found])]


def _by_text(host: Host, alias: str, text: str) -> list[Group]:
    session = host.session
    encoded = session.model.encode(text, prepend_bos=session.prepend_bos, room=0)
    seen = active(session.model, session.saes[alias], encoded, limit=MOST_OF_A_RANK)
    effects = {
        each.feature: f"adds {each.attribution:+.2g} to the logit of the next token {seen.target!r}"
        for each in seen.by_attribution
    }
    firings = {
        each.feature: f"activation {each.activation:.3g} on {each.token!r}"
        for each in seen.by_activation
    }
    return [
        _group(f"By effect on the next token {seen.target!r}", rows_of(host, alias, effects)),
        _group("By activation", rows_of(host, alias, firings)),
    ]


def _for_phrase(host: Host, alias: str, phrase: str) -> list[Group]:
    atlas = required_atlas(host, alias)
    named = alias if len(host.session.saes) > 1 else None
    found = suggest(atlas, phrase, limit=MOST_SUGGESTED, sae=named)
    rows = [
        {
            **_row(host, alias, atlas, each.found),
            "intervention": each.intervention.model_dump(mode="json"),
            "amount": amount_of(each.intervention),
        }
        for each in found
    ]
    return [_group("", rows)]


_FINDERS: Mapping[str, Callable[[Host, str, str], list[Group]]] = {
    "label": _by_label,
    "token": _by_token,
    "text": _by_text,
    "phrase": _for_phrase,
}


def _group(title: str, rows: list[dict[str, Any]]) -> Group:
    return {"title": title, "rows": rows}


def rows_of(host: Host, alias: str, why: Mapping[int, str]) -> list[dict[str, Any]]:
    """A row for each of some features, in the order given, with why each is there."""
    atlas = host.session.atlas(alias)
    if atlas is None:
        return [_bare_row(host, alias, feature, reason) for feature, reason in why.items()]
    return [_row(host, alias, atlas, each) for each in described(atlas, dict(why))]


def _row(host: Host, alias: str, atlas: Atlas, found: Found) -> dict[str, Any]:
    """One feature that an atlas knows."""
    row = _bare_row(host, alias, found.feature, found.why)
    # The page may show a features file's label that the atlas does not have.
    scored = found.score is not None and (found.source == TRUTH or found.label == row["label"])
    output = found.output_score
    return {
        **row,
        "score": f"{found.score:.2f}" if scored else None,
        "source": found.source if scored else None,
        "density": percent(found.density) if found.max_act > 0 else "never",
        "spark": heights(histogram(atlas, found.feature), BARS),
        "max": f"{found.max_act:.3g}",
        "badge": found.steerability,
        "output_score": None if output is None else f"{output:.2g}",
    }


def _bare_row(host: Host, alias: str, feature: int, why: str) -> dict[str, Any]:
    """One feature without an atlas."""
    label = label_of(host.session, alias, feature)
    return {
        "sae": alias,
        "feature": feature,
        "name": feature_name(host.session, alias, feature),
        "label": label,
        # What the label says already need not be said again.
        "why": why.removeprefix(label).lstrip("; "),
        "spark": [],
        **dict.fromkeys(
            ("score", "source", "density", "max", "badge", "output_score", "intervention", "amount")
        ),
    }


def amount_of(edit: Intervention) -> str:
    """An edit's strength in words."""
    units = {"max_act": "× max", "norm": "× norm", "raw": "raw", None: ""}
    return f"{edit.edit} {edit.strength:g} {units[edit.unit]}".strip()


def heights(seen: Histogram, most: int) -> list[int]:
    """Heights of bars in percent, neighbouring bins put together until there are few enough.

    Counts are drawn by their logarithm: firings at the maximum are rare and matter most.
    """
    return [level for level, _, _, _ in bars(seen, most)]


def bars(seen: Histogram, most: int) -> list[tuple[int, float, float, int]]:
    """Each bar: its height in percent, from where to where, and how many it counts."""
    size = max(1, math.ceil(len(seen.counts) / most))
    starts = range(0, len(seen.counts), size)
    counts = [sum(seen.counts[at : at + size]) for at in starts]
    tops = _levels(counts)
    ends = [min(at + size, len(seen.counts)) for at in starts]
    return [
        (top, seen.edges[at], seen.edges[end], count)
        for top, at, end, count in zip(tops, starts, ends, counts, strict=True)
    ]


def _levels(counts: Sequence[int]) -> list[int]:
    highest = math.log1p(max(counts, default=0)) or 1.0
    return [round(100 * math.log1p(count) / highest) for count in counts]


def relabelled(host: Host, table: Table, alias: str, feature: int) -> Table:
    """The same table after a person has named a feature."""
    label = label_of(host.session, alias, feature)
    return {
        **table,
        "groups": [
            {
                **group,
                "rows": [
                    {**row, "label": label}
                    if (row["sae"], row["feature"]) == (alias, feature)
                    else row
                    for row in group["rows"]
                ],
            }
            for group in table["groups"]
        ],
    }
