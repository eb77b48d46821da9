"""The card's figures: the dose-response curve and the map, as what plotly.js draws."""

from collections.abc import Iterable
from html import escape
from typing import Any

from steering.demo.claims.results import Dose, MapPoint
from steering.demo.claims.window import by_strength, surprise_limit, window

Figure = dict[str, Any]
"""What plotly.js draws: its "data" and its "layout"."""
# Of middling lightness, so that they hold on a light page and on a dark one.
COLOURS = (
    "#2f7fd1",
    "#d9822b",
    "#3a9d5d",
    "#c4475a",
    "#8f6bd1",
    "#a07a4a",
    "#d264a6",
    "#7d8791",
)
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star")
DASHES = ("solid", "dash", "dot")
AXIS = {
    "gridcolor": "rgba(125,135,145,0.25)",
    "linecolor": "rgba(125,135,145,0.5)",
    "zerolinecolor": "rgba(125,135,145,0.5)",
}
LAYOUT = {
    "autosize": True,
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#7d8791"},
    "hoverlabel": {"bgcolor": "#20252b", "font": {"color": "#ffffff"}, "align": "left"},
    "margin": {"l": 60, "r": 60, "t": 50, "b": 50},
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#7d8791"},
}


def dose_figure(doses: Iterable[Dose]) -> Figure:
    """Rate with its interval and effect above, surprise below, the window shaded in both."""
    ordered = by_strength(doses)
    strengths = [dose.strength for dose in ordered]
    low, high = zip(*(dose.rate.interval for dose in ordered), strict=True)
    band = {
        "x": strengths + strengths[::-1],
        "y": [*high, *low[::-1]],
        "fill": "toself",
        "fillcolor": "rgba(47,127,209,0.18)",
        "line": {"width": 0},
        "mode": "lines",
        "name": "95 % interval",
        "hoverinfo": "skip",
    }
    rate = _line("rate", strengths, [d.rate.share for d in ordered], 0, "y", ":.0%")
    effect = _line("effect", strengths, [d.effect for d in ordered], 1, "y2", ":.2f")
    surprise = _line("surprise", strengths, [d.surprise for d in ordered], 4, "y3", ":.2f")
    return {
        "data": [band, rate, effect, surprise],
        "layout": LAYOUT
        | {
            "hovermode": "x unified",
            "hoversubplots": "axis",
            "shapes": [*_shaded(window(ordered)), *_limit(surprise_limit(ordered))],
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": AXIS | {"title": {"text": "strength, multiples of max_act"}, "anchor": "y3"},
            "yaxis": AXIS
            | {
                "title": {"text": "rate"},
                "range": [-0.02, 1.02],
                "tickformat": ".0%",
                "domain": [0.38, 1],
            },
            "yaxis2": AXIS
            | {
                "title": {"text": "log-odds, nats per token"},
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
            },
            "yaxis3": AXIS
            | {
                "title": {"text": "surprise, nats"},
                "domain": [0, 0.28],
                "rangemode": "tozero",
            },
        },
    }


def map_figure(points: Iterable[MapPoint], near: frozenset[int] = frozenset()) -> Figure:
    """One dot for each feature, one colour and shape for each branch; the near ones larger."""
    branches: dict[str, list[MapPoint]] = {}
    for point in points:
        branches.setdefault(point.branch, []).append(point)
    hidden = AXIS | {"showticklabels": False, "showgrid": False, "zeroline": False}
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": _in_plot(branch),
                "x": [point.x for point in members],
                "y": [point.y for point in members],
                "hovertext": [_hover(point) for point in members],
                "hoverinfo": "text",
                "marker": {
                    "color": COLOURS[i % len(COLOURS)],
                    "symbol": SYMBOLS[i % len(SYMBOLS)],
                    "size": [12 if point.feature in near else 6 for point in members],
                    "opacity": 0.85,
                },
            }
            for i, (branch, members) in enumerate(branches.items())
        ],
        "layout": LAYOUT
        | {
            "showlegend": True,
            "hovermode": "closest",
            "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
            "legend": {"orientation": "h", "x": 0, "y": -0.02, "yanchor": "top"},
            "xaxis": hidden,
            "yaxis": hidden | {"scaleanchor": "x"},
        },
    }


def _in_plot(text: str) -> str:
    """Plotly reads some HTML in its words, and knows no entity for a quote."""
    return escape(text, quote=False)


def _hover(point: MapPoint) -> str:
    label, branch = _in_plot(point.label), _in_plot(point.branch)
    return f"<b>{label}</b><br>{branch}<br>feature {point.feature}"


def _line(
    name: str, x: list[float], y: list[float], style: int, axis: str, reads: str
) -> dict[str, Any]:
    colour = COLOURS[style]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": y,
        "yaxis": axis,
        "line": {"color": colour, "width": 2, "dash": DASHES[style % len(DASHES)]},
        "marker": {"color": colour, "symbol": SYMBOLS[style % len(SYMBOLS)], "size": 7},
        "hovertemplate": f"%{{y{reads}}}",
    }


def _shaded(run: tuple[float, float] | None) -> list[dict[str, Any]]:
    if run is None:
        return []
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": run[0],
            "x1": run[1],
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "fillcolor": "rgba(58,157,93,0.14)",
            "line": {"width": 1, "dash": "dot", "color": "rgba(58,157,93,0.8)"},
        }
    ]


def _limit(surprise: float | None) -> list[dict[str, Any]]:
    if surprise is None:
        return []
    return [
        {
            "type": "line",
            "xref": "paper",
            "yref": "y3",
            "x0": 0,
            "x1": 1,
            "y0": surprise,
            "y1": surprise,
            "line": {"width": 1, "dash": "dot", "color": COLOURS[4]},
        }
    ]
