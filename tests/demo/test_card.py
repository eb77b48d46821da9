"""The card holds every claim, hides no miss, and asks no other machine for anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from steering.demo.claims.card import SAMPLES_SHOWN, card, first_of_each_prompt
from steering.demo.claims.plots import dose_figure, map_figure
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
from steering.demo.claims.window import window
from steering.measure.rates import Rate

EVIL = '<script>alert(1)</script> & "it\'s"'
DOSES = tuple(
    Dose(strength, Rate(hits, 100), effect, surprise)
    for strength, hits, effect, surprise in (
        (8.0, 95, -1.0, 6.1),  # acts, and no longer reads well
        (0.0, 0, -7.0, 2.0),
        (2.0, 30, -4.0, 2.2),
        (4.0, 85, -2.0, 2.6),
        (6.0, 100, -1.2, 3.4),
    )
)
MET = ClaimResult(
    name="golden-gate",
    study="Golden Gate: the model takes the bridge for itself",
    measured=f"asked who it is, it says {EVIL}",
    edits="add 6 × max_act of feature 1",
    outcomes=(
        Outcome("unsteered", "0 %", "≤ 0 %", True),
        Outcome("steered", "96 %", "≥ 90 %", True),
    ),
    seconds=12.3,
    cells={
        "unsteered": Cell(Rate(0, 200), 2.01, 0.013),
        "steered": Cell(Rate(192, 200), 2.57, 0.041),
        "random": Cell(Rate(1, 200), 2.9, 0.02),
    },
    samples=tuple(
        Sample(f"prompt {i % 7} {EVIL}", i, f"plain {i} {EVIL}", f"pushed {i}\n{EVIL}")
        for i in range(20)
    ),
)
MISSED = ClaimResult(
    name="dose-response",
    study="dose and response: more is more, up to a point",
    measured="the rate rises with the strength",
    edits="",
    outcomes=(Outcome("rises without a dip", "0.41", "≥ 0.90", False),),
    seconds=75.0,
    doses=DOSES,
)
NEAR = ClaimResult(
    name="neighbourhood",
    study="near features mean near things",
    measured="cosine against distance in the tree",
    edits="",
    outcomes=(Outcome("rank correlation", "-0.62", "≤ -0.30", True),),
    seconds=1.0,
    neighbours=(Neighbour(7, f"fog {EVIL}", "places > weather", 0.512, 3),),
    points=(
        MapPoint(1, 0.0, 1.0, EVIL, "places"),
        MapPoint(7, 0.5, 1.5, f"fog {EVIL}", EVIL),
    ),
)
REPORT = Report(
    results=(MET, MISSED, NEAR),
    seconds=88.3,
    model={"name": f"tiny {EVIL}", "layers": 4},
    saes={"main": {"id": "blocks.2.hook_resid_post", "d_sae": 512}},
)


class Tags(HTMLParser):
    """Every tag with its attributes, and the words outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._code = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._code = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._code = False

    def handle_data(self, data: str) -> None:
        self.words += "" if self._code else data


@pytest.fixture(scope="module")
def page() -> str:
    return card(REPORT, title=f"Title {EVIL}")


@pytest.fixture(scope="module")
def read(page: str) -> Tags:
    return Tags(page)


def test_the_page_asks_no_other_machine(page: str, read: Tags) -> None:
    asked = [a.get(key) for _, a in read.tags for key in ("src", "href", "action", "srcset")]
    assert {address for address in asked if address} == {"data:,"}
    policy = next(a["content"] for _, a in read.tags if "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"@import|url\(", style)


def test_plotly_is_inlined_once_and_only_for_a_figure(page: str, read: Tags) -> None:
    plots = sum(a.get("class") == "plot" for _, a in read.tags)
    scripts = sum(tag == "script" for tag, _ in read.tags)
    assert (plots, scripts) == (2, 3)
    assert len(page) < 8_000_000
    assert "<script" not in card(replace(REPORT, results=(MET,)))


def test_whatever_is_said_in_labels_and_texts_is_escaped(page: str, read: Tags) -> None:
    assert "<script>alert" not in page
    shown = (f"Title {EVIL}", f"tiny {EVIL}", f"fog {EVIL}", f"prompt 3 {EVIL}", f"plain 3 {EVIL}")
    assert [words for words in shown if words not in read.words] == []


def test_plotly_is_given_no_html_of_a_label() -> None:
    first, second = map_figure(NEAR.points)["data"]
    shown = '&lt;script&gt;alert(1)&lt;/script&gt; &amp; "it\'s"'
    assert first["hovertext"] == [f"<b>{shown}</b><br>places<br>feature 1"]
    assert second["name"] == shown


def test_every_claim_is_there_with_its_outcomes(read: Tags) -> None:
    for result in REPORT.results:
        assert result.name in read.words
        assert result.study in read.words
        for outcome in result.outcomes:
            said = rf"{re.escape(outcome.says)}:\s+{re.escape(outcome.value)}\s+against"
            assert re.search(said, read.words)


def test_a_missed_claim_is_called_missed_in_words(read: Tags) -> None:
    assert "2 of 3 claims met, 1 missed" in read.words
    assert re.search(r"✗ missed\s+dose-response", read.words)
    assert re.search(r"✗ missed\s+rises without a dip", read.words)
    assert re.search(r"✓ met\s+golden-gate", read.words)


def test_a_share_stands_with_its_interval(read: Tags) -> None:
    low, high = Rate(192, 200).interval
    assert f"96\u00a0%{100 * low:.0f} to {100 * high:.0f}\u00a0%192 of 200" in read.words


def test_the_texts_are_the_first_of_each_prompt_in_order(read: Tags) -> None:
    assert [sample.seed for sample in first_of_each_prompt(MET.samples)] == list(range(7))
    assert sum(tag == "article" for tag, _ in read.tags) == SAMPLES_SHOWN


def test_the_window_is_where_it_acts_and_still_reads_well() -> None:
    assert window(DOSES) == (4.0, 6.0)


def test_without_strength_zero_or_any_hit_there_is_no_window() -> None:
    assert window(DOSES[2:]) is None
    assert window(()) is None
    assert window(replace(dose, rate=Rate(0, 100)) for dose in DOSES) is None


def test_the_window_never_bridges_a_strength_that_fails() -> None:
    dip = replace(DOSES[3], strength=5.0, rate=Rate(10, 100))
    assert window((*DOSES, dip)) == (4.0, 4.0)


def test_the_figures_are_such_as_plotly_knows() -> None:
    for figure in (dose_figure(DOSES), dose_figure(DOSES[2:]), map_figure(NEAR.points)):
        go.Figure(figure)
    assert len(dose_figure(DOSES)["layout"]["shapes"]) == 2
    assert map_figure(NEAR.points, frozenset({7}))["data"][1]["marker"]["size"] == [12]


def test_an_empty_report_is_still_a_page() -> None:
    assert "0 of 0" in card(Report((), 0.0, {}, {}))
