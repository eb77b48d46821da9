"""What lies around a feature: its neighbours by direction, and what fires on the same tokens."""

import math
from typing import TYPE_CHECKING, Any

from steering.atlas.pairs import STRONGEST
from steering.atlas.rings import APART, RADII, rings
from steering.atlas.store import Atlas
from ui.feature_lines import feature_lines, percent

if TYPE_CHECKING:
    from steering.atlas.together import Together
    from steering.session import Session

NEIGHBOURS = 200
"""Of one card, at most; it says when a radius holds more."""
WALK = (*RADII, 1.0)
"""Where rings end, as cosine distances; 1 is a right angle, and no neighbour is farther."""
STEP = 0.05
"""Of the radius slider."""
AT_FIRST = 6
"""Neighbours that are in sight when a card opens, where there are so many."""


def around(
    session: "Session", alias: str, feature: int, atlas: Atlas | None
) -> dict[str, dict[str, Any]]:
    """The neighbours of a feature by ring, and the features that fire together with it."""
    from steering.atlas.together import together  # Imports torch: seconds, when a page starts.

    partners = () if atlas is None else together(atlas, session.saes[alias], feature)
    return {
        "near": _near(session, alias, feature, {each.feature: each for each in partners}),
        "together": _together(session, alias, partners),
    }


def _near(
    session: "Session", alias: str, feature: int, partners: "dict[int, Together]"
) -> dict[str, Any]:
    """The neighbours by ring, each with how much it fires together with the feature.

    `beyond` is the distance of the nearest one that is left out, None where none is.
    """
    nearest = session.neighbours(feature, alias, NEIGHBOURS + 1)
    found, left_out = nearest[:NEIGHBOURS], nearest[NEIGHBOURS:]
    named = _named(session, alias, [each.feature for each in found])
    walked = [
        {
            "inner": ring.inner,
            "outer": ring.outer,
            "neighbours": [
                {
                    **named[each.feature],
                    "cosine": round(each.cosine, 3),
                    "together": _two(partners.get(each.feature)),
                }
                for each in ring.neighbours
            ],
        }
        for ring in rings(found, WALK)
    ]
    near = [1 - each.cosine for each in found]
    reach = near[min(AT_FIRST, len(near)) - 1] if near else WALK[-1]
    # Rounded up to a step of the slider, so that the last of them is inside.
    radius = min(math.ceil(reach / STEP) * STEP, WALK[-1])
    return {
        "rings": walked,
        "radius": radius,
        "beyond": round(1 - left_out[0].cosine, 3) if left_out else None,
        "features": f"{session.saes[alias].d_sae:,}",
        "most_together": len(partners),
    }


def _together(session: "Session", alias: str, partners: "tuple[Together, ...]") -> dict[str, Any]:
    """The features that fire together with one, and how many of them point elsewhere."""
    named = _named(session, alias, [each.feature for each in partners])
    apart = sum(each.apart for each in partners)
    return {
        "partners": [
            {
                **named[each.feature],
                "share": percent(each.share),
                "cosine": round(each.cosine, 3),
                "apart": each.apart,
            }
            for each in partners
        ],
        "note": f"{apart} of {len(partners)} point elsewhere (cosine below {APART:.1f}): they fire "
        "on the same tokens and write something else. The closest firing patterns come first; "
        f"only the {STRONGEST} strongest features of a token count, so a share is the least it "
        "can be.",
    }


def _named(session: "Session", alias: str, features: list[int]) -> dict[int, dict[str, Any]]:
    lines = feature_lines(session, alias, features)
    return {
        line["feature"]: {key: line[key] for key in ("feature", "name", "label")} for line in lines
    }


def _two(partner: "Together | None") -> str | None:
    return None if partner is None else f"{partner.closeness:.2f}"
