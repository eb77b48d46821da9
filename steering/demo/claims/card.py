"""The claims as one page that needs nothing else: figures, curves, the map and the texts.

Whatever comes from a label or a text is escaped. Marks are words as well as colours, and the page
may ask no other machine for anything: its own policy forbids it. That policy lets plotly compile,
as it does some of its code while it runs ('unsafe-eval').
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from steering.demo.claims.plots import Figure, dose_figure, map_figure
from steering.demo.claims.results import (
    Cell,
    ClaimResult,
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
    return Template(_read("card.html")).substitute(
        title=escape(title),
        style=_read("card.css"),
        plotly=f"<script>{_plotly()}</script>" if drawn else "",
        body="\n".join(part for part in parts if part),
    )


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


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


NONE = "&mdash;"
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d"],
}
