"""The claims as one page that needs nothing else: figures, curves, the map and the texts.

Whatever comes from a label or a text is escaped. Marks are words as well as colours, and the page
may ask no other machine for anything: its own policy forbids it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from steering.demo.claims.results import (
    Cell,
    ClaimResult,
    Dose,
    MapPoint,
    Neighbour,
    Outcome,
    Report,
    Sample,
)
from steering.demo.claims.window import (
    OF_THE_PEAK,
    TIMES_THE_SURPRISE,
    by_strength,
    surprise_limit,
    window,
)
from steering.measure.rates import Rate

TITLE = "Steering with SAE features: the claims, measured"
CELLS = ("unsteered", "steered", "random", "feature")
SAMPLES_SHOWN = 5

Figure = dict[str, Any]
"""What plotly.js draws: its "data" and its "layout"."""


def card(report: Report, *, title: str = TITLE) -> str:
    """The whole page, as HTML."""
    parts = (
        _header(report, title),
        _claims(report.results),
        *(_dose_response(result) for result in report.results if result.doses),
        *(_neighbourhood(r) for r in report.results if r.points or r.neighbours),
        _texts(report.results),
    )
    drawn = any(result.doses or result.points for result in report.results)
    return PAGE.substitute(
        title=escape(title),
        style=STYLE,
        plotly=f"<script>{_plotly()}</script>" if drawn else "",
        body="\n".join(part for part in parts if part),
    )


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


def _header(report: Report, title: str) -> str:
    total = len(report.results)
    missed = total - report.met
    return f"""<header>
<h1>{escape(title)}</h1>
<p>Each claim of the 2024 study on steering, measured anew on one small model and held against a bar
set beforehand; a claim that misses its bar stays on this page, as missed.</p>
<p class="score"><strong>{report.met} of {total}</strong> claims met{
        f", {missed} missed" if missed else ""
    }, in {_duration(report.seconds)}</p>
<dl>
<dt>Model</dt><dd>{_facts(report.model)}</dd>
<dt>SAEs</dt><dd>{_facts(report.saes)}</dd>
</dl>
</header>"""


def _claims(results: Iterable[ClaimResult]) -> str:
    heads = ("claim", *CELLS, "surprise", "repetition", "held against its bars")
    rows = "\n".join(map(_claim, results))
    return f"""<section>
<h2>The claims</h2>
{_scrolling("The claims", heads, rows, "claims")}
<p class="note">Shares of texts that hit, with Wilson's 95&nbsp;% interval. <em>Random</em>: the
same push in a random direction; <em>feature</em>: the same push along another feature. Surprise, in
nats per token under the unsteered model, and repetition, the mean share of four-token sequences
that stood in their text before, are those of the steered texts.</p>
</section>"""


def _claim(result: ClaimResult) -> str:
    edits = f'<div class="edits">{escape(result.edits)}</div>' if result.edits else ""
    about = f"""<th scope="row" class="{_status(result.met)}">
<div>{_mark(result.met)} <code>{escape(result.name)}</code></div>
<div class="study">{escape(result.study)}</div>
<div class="small">{escape(result.measured)}</div>
{edits}<div class="small">{_duration(result.seconds)}</div>
</th>"""
    outcomes = f"<ul>{''.join(map(_outcome, result.outcomes))}</ul>"
    if not result.cells:
        return f'<tr>{about}<td colspan="{len(CELLS) + 3}">{outcomes}</td></tr>'
    shares = "".join(f"<td>{_share(result.cells.get(name))}</td>" for name in CELLS)
    steered = result.cells.get("steered")
    reads = (f"{steered.surprise:.2f}", _percent(steered.repetition)) if steered else (NONE, NONE)
    return f"<tr>{about}{shares}<td>{reads[0]}</td><td>{reads[1]}</td><td>{outcomes}</td></tr>"


def _outcome(outcome: Outcome) -> str:
    return (
        f"<li>{_mark(outcome.met)} {escape(outcome.says)}: "
        f"<strong>{escape(outcome.value)}</strong> "
        f'<span class="small">against {escape(outcome.bar)}</span></li>'
    )


def _share(cell: Cell | None) -> str:
    return _rate(cell.rate) if cell else NONE


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return (
        f'{_percent(rate.share)}<div class="small">{100 * low:.0f} to {_percent(high)}'
        f"<br>{rate.hits} of {rate.n}</div>"
    )


def _dose_response(result: ClaimResult) -> str:
    run = window(result.doses)
    if run is None:
        found = "No strength keeps to the window: "
    elif run[0] == run[1]:
        found = f"The window, shaded, is one strength, {run[0]:g}&nbsp;×&nbsp;max_act: "
    else:
        found = f"The window, shaded, is {run[0]:g} to {run[1]:g}&nbsp;×&nbsp;max_act: "
    if surprise_limit(result.doses) is None:
        found = "No window, for strength 0 was not measured. It would be: "
    rows = "\n".join(
        f"<tr><td>{dose.strength:g}</td><td>{_rate(dose.rate)}</td>"
        f"<td>{dose.effect:.2f}</td><td>{dose.surprise:.2f}</td></tr>"
        for dose in by_strength(result.doses)
    )
    heads = ("strength", "rate", "effect", "surprise")
    return f"""<section>
<h2>Dose and response: {escape(result.study)}</h2>
{_plot(dose_figure(result.doses), f"dose-{result.name}", "Rate, effect and surprise by strength")}
<p class="note">{found}at least {_percent(OF_THE_PEAK)} of the best rate at less than
{TIMES_THE_SURPRISE:g} times the surprise of strength 0, the dotted line. Effect is the mean
log-odds, in nats a token, of the bridge's answers against other sights' in the same words.</p>
<details><summary>The figures of the curve</summary>
{_scrolling("The figures of the curve", heads, rows)}
</details>
</section>"""


def _neighbourhood(result: ClaimResult) -> str:
    near = frozenset(neighbour.feature for neighbour in result.neighbours)
    plot = ""
    if result.points:
        figure = map_figure(result.points, near)
        plot = _plot(figure, f"map-{result.name}", "Map of features, by branch") + (
            '<p class="note">Each mark is a feature, in the colour and shape of its branch of the '
            f"tree of concepts{'; the larger ones are in the table' if near else ''}.</p>"
        )
    return f"""<section>
<h2>Neighbourhood: {escape(result.study)}</h2>
{plot}
{_neighbours(result.neighbours)}
</section>"""


def _neighbours(neighbours: Sequence[Neighbour]) -> str:
    if not neighbours:
        return ""
    rows = "\n".join(
        f"<tr><td>{near.feature}</td><td>{escape(near.label)}</td><td>{escape(near.place)}</td>"
        f"<td>{near.cosine:.3f}</td><td>{near.distance}</td></tr>"
        for near in neighbours
    )
    heads = ("feature", "label", "place in the tree", "cosine", "steps up")
    return _scrolling("The nearest features", heads, rows)


def _texts(results: Iterable[ClaimResult]) -> str:
    groups = "\n".join(_samples(result) for result in results if result.samples)
    if not groups:
        return ""
    return f"""<section>
<h2>Texts</h2>
<p class="note">Drawn by the claim's seed, up to {SAMPLES_SHOWN} prompts for each claim; none is
picked for how it reads. Both sides share the seed.</p>
{groups}
</section>"""


def _samples(result: ClaimResult) -> str:
    pairs = "\n".join(map(_pair, first_of_each_prompt(result.samples)[:SAMPLES_SHOWN]))
    return f"""<details>
<summary>{_mark(result.met)} {escape(result.study)}</summary>
{pairs}
</details>"""


def first_of_each_prompt(samples: Iterable[Sample]) -> list[Sample]:
    """The samples without those whose prompt came before."""
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sample.prompt, sample)
    return list(first.values())


def _pair(sample: Sample) -> str:
    return f"""<article>
<p class="prompt">{escape(sample.prompt)} <span class="small">seed {sample.seed}</span></p>
<div class="pair">
<div><h3>unsteered</h3><p class="text">{escape(sample.unsteered)}</p></div>
<div><h3>steered</h3><p class="text">{escape(sample.steered)}</p></div>
</div>
</article>"""


def _scrolling(name: str, heads: Iterable[str], rows: str, kind: str = "") -> str:
    """A table that scrolls by itself where the screen is narrow, by keyboard too."""
    columns = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    return f"""<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0">
<table class="{kind}"><thead><tr>{columns}</tr></thead>
<tbody>
{rows}
</tbody></table></div>"""


def _facts(facts: Mapping[str, Any]) -> str:
    """Keys and values as words; where there is a name, it comes first and alone."""
    rest = [f"{escape(str(k))}: {_value(v)}" for k, v in facts.items() if k != "name"]
    name = [f"<strong>{escape(str(facts['name']))}</strong>"] if "name" in facts else []
    return "<br>".join([*name, *rest]) or NONE


def _value(value: object) -> str:
    match value:
        case Mapping():
            return ", ".join(f"{escape(str(k))} {_value(v)}" for k, v in value.items())
        case list() | tuple():
            return ", ".join(map(_value, value))
        case _:
            return escape(str(value))


def _mark(met: bool) -> str:
    return f'<span class="mark {_status(met)}">{"✓" if met else "✗"} {_status(met)}</span>'


def _status(met: bool) -> str:
    return "met" if met else "missed"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}&nbsp;%"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}&nbsp;s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}&nbsp;min {rest}&nbsp;s"


def _plot(figure: Figure, name: str, label: str) -> str:
    """The place of a figure, and the call that draws it there."""
    place = f'<div class="plot" id="{escape(name)}" role="img" aria-label="{escape(label)}"></div>'
    arguments = ", ".join(map(_script, (name, figure["data"], figure["layout"], CONFIG)))
    return f"{place}\n<script>Plotly.newPlot({arguments});</script>"


def _script(value: object) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e")


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


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


NONE = "&mdash;"
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
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d"],
}
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

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2127; --quiet: #5b6570; --rule: #d9dee3; --raised: #f5f7f9;
  --met: #1d6b3c; --met-paper: #e3f4e9; --missed: #9c2433; --missed-paper: #fbe6e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e4e8ec; --quiet: #9aa4ae; --rule: #343b43; --raised: #1d2127;
    --met: #7fd6a0; --met-paper: #16321f; --missed: #ff9aa6; --missed-paper: #401a20;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 1100px;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: .8rem; margin: 0; color: var(--quiet); font-weight: 600; }
header p { max-width: 46rem; }
.score { font-size: 1.15rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dt, .small, .note { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.small { font-size: .78rem; font-weight: 400; line-height: 1.35; }
.note { font-size: .85rem; max-width: 46rem; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
table.claims { min-width: 1000px; }
th, td { padding: .55rem .6rem; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; }
thead th { background: var(--raised); color: var(--quiet); font-size: .78rem; }
tbody tr { border-top: 1px solid var(--rule); }
tbody th { font-weight: 400; width: 19rem; border-left: 4px solid var(--met); }
tbody th.missed { border-left-style: double; border-left-color: var(--missed); }
td .small { white-space: nowrap; }
.study { font-weight: 600; margin-top: .2rem; }
.edits { font-size: .8rem; overflow-wrap: anywhere; }
ul { margin: 0; padding: 0; list-style: none; }
li + li { margin-top: .35rem; }
li .small { white-space: normal; }
.mark {
  display: inline-block; padding: 0 .4em; border-radius: 4px;
  font-size: .78rem; font-weight: 600; white-space: nowrap;
}
.mark.met { color: var(--met); background: var(--met-paper); }
.mark.missed { color: var(--missed); background: var(--missed-paper); outline: 1px solid; }
.plot { width: 100%; height: 480px; }
.plot .main-svg text:not(.hoverlayer *) { fill: var(--ink) !important; }
details { border: 1px solid var(--rule); border-radius: 6px; margin: .6rem 0; }
summary { cursor: pointer; padding: .5rem .75rem; }
details > article, details > .scroll { margin: .25rem .75rem .75rem; }
article { border-top: 1px solid var(--rule); }
.prompt { margin: .6rem 0 .4rem; font-weight: 600; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
.pair > div { background: var(--raised); border-radius: 6px; padding: .5rem .7rem; min-width: 0; }
.text { margin: .2rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem; }
@media (max-width: 640px) { .pair { grid-template-columns: 1fr; } .plot { height: 420px; } }
"""

# Plotly compiles some of its code as it runs, hence 'unsafe-eval'; nothing may be fetched or sent.
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none';
 form-action 'none'; img-src data: blob:; style-src 'unsafe-inline';
 script-src 'unsafe-inline' 'unsafe-eval'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
$plotly
</head>
<body>
$body
</body>
</html>
""")
