"""The table of found features: a row for each, with what helps to choose between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from steering.atlas.cards import Histogram, histogram
from steering.atlas.known import describe, with_facts
from steering.atlas.search import Found
from steering.atlas.store import Atlas
from steering.interventions import Intervention
from ui.feature_lines import feature_name, percent, shown_label, steers
from ui.host import Host

Table = dict[str, Any]
Group = dict[str, Any]
Row = dict[str, Any]

EMPTY: Table = {"title": "", "groups": []}
BARS = 16
"""Of a sparkline."""


def group(title: str, rows: list[Row]) -> Group:
    """Rows under a title of their own."""
    return {"title": title, "rows": rows}


def rows_of(host: Host, alias: str, why: Mapping[int, str]) -> list[Row]:
    """A row for each of some features, in the order given, with why each is there."""
    sae, atlas = host.session.saes[alias], host.session.atlas(alias)
    known = describe(sae, atlas, list(why))
    return [_row(host, alias, atlas, replace(each, why=why[each.feature])) for each in known]


def rows_from(host: Host, alias: str, atlas: Atlas, found: Sequence[Found]) -> list[Row]:
    """A row for each feature that a search of the atlas has read already."""
    known = with_facts(host.session.saes[alias], atlas, found)
    return [_row(host, alias, atlas, each) for each in known]


def _row(host: Host, alias: str, atlas: Atlas | None, found: Found) -> Row:
    """One feature; without an atlas nothing is measured of it."""
    label = shown_label(found)
    row: Row = {
        "sae": alias,
        "feature": found.feature,
        "name": feature_name(host.session, alias, found.feature),
        "label": label,
        # What the label says already need not be said again.
        "why": found.why.removeprefix(label).lstrip("; "),
        "spark": [],
        **dict.fromkeys(("score", "source", "density", "max", "badge", "intervention", "amount")),
    }
    if atlas is None:
        return row
    scored = found.score is not None
    return {
        **row,
        "score": f"{found.score:.2f}" if scored else None,
        "source": found.source if scored else None,
        "density": percent(found.density) if found.max_act > 0 else "never",
        "spark": heights(histogram(atlas, found.feature), BARS),
        "max": f"{found.max_act:.3g}",
        "badge": steers(found.output_score, found.steerability, found.standing),
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


def relabelled(table: Table, alias: str, feature: int, label: str) -> Table:
    """The same table after a person has named a feature: a score was the label's before."""
    return {
        **table,
        "groups": [
            {
                **each,
                "rows": [
                    {**row, "label": label, "score": None, "source": None}
                    if (row["sae"], row["feature"]) == (alias, feature)
                    else row
                    for row in each["rows"]
                ],
            }
            for each in table["groups"]
        ],
    }
