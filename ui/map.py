"""The map between an atlas and the browser: points packed tightly, and what a text lights up.

A map may have more than a hundred thousand points, so they travel as typed arrays and without
labels; the browser asks for the labels that somebody looks at.
"""

import base64
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import AliasError, AtlasError, SteeringError
from ui.component import component
from ui.feature_lines import feature_lines
from ui.host import Host

if TYPE_CHECKING:
    from steering.atlas.map import MapPoints
    from steering.atlas.store import Atlas
    from steering.session import Session

EMPTY: dict[str, Any] = {"sae": None, "of": None, "lit": None, "opened": None, "failed": None}
"""`sae` is an alias; `of` tells one map from the next, `failed` one failure to make it."""
MOST_DESCRIBED = 200
MOST_LISTED = 30
KNOWN = ("points", "clusters", "colours", "marks", "labels")
DRAWN = ("view", "pace", "paint", "overlay", "stage")
DONE = ("gestures", "tip", "tools", "panel")
SCRIPTS = (*KNOWN, *DRAWN, *DONE)


def map_component(points: Callable[..., Any], describe: Callable[..., Any]) -> gr.HTML:
    """The component that draws a map; both functions answer what its script asks."""
    parts = tuple(f"map/{name}.js" for name in SCRIPTS)
    return component("map", EMPTY, parts=parts, server_functions=[points, describe])


def which_map(session: "Session", alias: str | None = None) -> dict[str, Any]:
    """Whose map to show; the first SAE's where none is asked for."""
    name = alias if alias in session.saes else next(iter(session.saes), None)
    if name is None:
        return EMPTY
    return {**EMPTY, "sae": name, "of": f"{session.saes[name].fingerprint} {_size(session, name)}"}


def _size(session: "Session", alias: str) -> str:
    """On how many tokens an atlas rests and how many points its map has; one that cannot be read
    has none, and says so."""
    try:
        atlas = session.atlas(alias)
    except AtlasError:
        return "0 0"
    found = atlas.one("SELECT count(*) FROM places") if atlas is not None else None
    return f"{atlas.about.tokens} {found[0]}" if atlas is not None and found else "0 0"


def warm_up(session: "Session", alias: str) -> None:
    """Read a map before somebody looks at it; what is wrong is said to whoever does."""
    with suppress(AtlasError):
        packed_map(session, alias)


def packed_map(session: "Session", alias: str) -> dict[str, Any]:
    """An SAE's map for the browser.

    Side by side for all points, little-endian: features (uint32), places (uint16 pairs), clusters
    (uint16), and densities (uint8) on a logarithmic scale between the lowest and the highest.

    Raises:
        AtlasError: The SAE has no atlas, or one without a map.
    """
    atlas = _atlas(session, alias)
    # A large map takes a second to read: who asks meanwhile, or next, waits for that one reading.
    with _reading:
        return {"sae": alias, **_packed(str(atlas.path), atlas.path.stat().st_mtime_ns)}


_reading = threading.Lock()


@lru_cache(maxsize=4)
def _packed(path: str, _written: int) -> dict[str, Any]:
    from steering.atlas.map import map_points
    from steering.atlas.store import Atlas

    with Atlas.open(path) as atlas:
        found = map_points(atlas)
    low, high = float(found.densities.min()), float(found.densities.max())
    arrays = (found.features.astype("<u4"), _square(found), found.clusters.astype("<u2"))
    packed = b"".join(each.tobytes() for each in (*arrays, _levels(found, low, high)))
    return {
        "count": len(found.features),
        "points": base64.b64encode(packed).decode(),
        "densities": [low, high],
        "names": {str(cluster): name for cluster, name in found.names.items()},
    }


def _atlas(session: "Session", alias: str) -> "Atlas":
    atlas = session.atlas(alias)
    if atlas is None:
        raise AtlasError(
            f"SAE {alias!r} has no atlas yet. Build one with `steer atlas build --text FILE`, then "
            "make its map with `steer atlas map`, and reload the page."
        )
    return atlas


def _square(points: "MapPoints") -> Any:
    """Places as uint16 pairs in one square, the longer side filling it."""
    import numpy as np

    places = np.stack([points.x, points.y], 1)
    low, high = places.min(0), places.max(0)
    span = max(float((high - low).max()), 1e-9)
    return np.round(65535 * ((places - (low + high) / 2) / span + 0.5)).astype("<u2")


def _levels(points: "MapPoints", low: float, high: float) -> Any:
    import numpy as np

    least = max(low, 1e-9)
    span = math.log(max(high, least) / least) or 1.0
    return np.round(255 * np.log(np.maximum(points.densities, least) / least) / span).astype("u1")


def may_make(host: Host, alias: str) -> bool:
    """Whether a missing map can be made here: the atlas has statistics, and visitors may write."""
    try:
        atlas = host.session.atlas(alias)
    except SteeringError:
        return False
    return host.trusted and atlas is not None and atlas.about.tokens > 0


def make_it(host: Host, alias: str) -> None:
    """Lay out an SAE's features.

    Raises:
        AtlasError: Strangers may not write here, or there is no atlas to put the map into.
    """
    from steering.atlas.map import make_map

    host.require_trusted()
    make_map(_atlas(host.session, alias), host.session.saes[alias])


def lit_map(session: "Session", alias: str | None, text: str) -> dict[str, Any]:
    """The map of an SAE, the first one's where none is asked for, lit up by a text.

    Raises:
        AliasError: No SAE is loaded.
        PromptError: No token of the text counts, or it is too long.
    """
    found = which_map(session, alias)
    if found["sae"] is None:
        raise AliasError("No SAE is loaded, so there is no map. Load one with --sae.")
    return {**found, "lit": lit_by(session, found["sae"], text)}


def lit_by(session: "Session", alias: str, text: str) -> dict[str, Any]:
    """What a text lights up: the highest activation of every feature that fires, and a list.

    Raises:
        PromptError: No token of the text counts, or it is too long.
    """
    from steering.atlas.firing import peaks

    sae = session.saes[alias]
    encoded = session.model.encode(text, prepend_bos=sae.prepend_bos, room=0)
    highest = peaks(session.model, sae, encoded)
    fired = (highest > 0).nonzero()[:, 0]
    order = fired[highest[fired].argsort(descending=True)]
    acts = highest[order]
    listed = order[:MOST_LISTED].tolist()
    lines = feature_lines(session, alias, listed)
    top = float(acts[0]) if len(acts) else 1.0
    return {
        "sae": alias,
        "title": f"{len(order):,} features fire on the text",
        "count": len(order),
        "highest": top,
        "features": base64.b64encode(order.numpy().astype("<u4").tobytes()).decode(),
        "acts": base64.b64encode(acts.numpy().astype("<f4").tobytes()).decode(),
        "list": [
            {**line, "amount": f"activation {float(act):.3g}"}
            for line, act in zip(lines, acts, strict=False)
        ],
    }
