"""The map of 131,072 features in a browser: until it is painted, and a frame while it is moved.

Headless Chromium plays the graphics card itself here (SwiftShader), so a real one does better. Two
painters are measured: WebGL, and the plain canvas that a browser without WebGL gets. What other
programs take of the machine lengthens a second and a frame, so each is told as processor time too:
the browser's, of all its processes, and of the first paint also the server's. What no map can be
faster than is the floor: frames in which two pixels of the same page change.
`python -m benchmarks.map` prints the table; `--small` takes a map of 4,096 features.
"""

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.atlas import WIDE, sae_of
from benchmarks.result import Result
from benchmarks.table import command
from steering.atlas.labels import Label, add_labels
from steering.atlas.store import Atlas
from steering.session import Session

CLUSTERS = 200
FRAMES = 60
PATIENCE = 600_000
GL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
FIRST_BAR, FRAME_BAR, SLOW_BAR = 3, 34, 67  # 30 frames a second are 33.3 ms each
"""Seconds, and milliseconds: two frames of a screen at 60 Hz, and four at the 95th percentile."""
NO_WEBGL = """
const real = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest);
};"""
OPEN = """() => new Promise(done => {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const began = performance.now();
  tabs.find(tab => tab.textContent.trim() === "Explore").click();
  const next = () => {
    const painted = document.querySelector(".map[data-phase=painted]");
    if (!painted) { requestAnimationFrame(next); return; }
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
  };
  next();
})"""
MOVE = """([frames, how]) => new Promise(done => {
  const canvas = document.querySelector(".map-over"), box = canvas.getBoundingClientRect();
  const taken = [], drawn = [];
  const acts = {
    floor: back => { document.querySelector("#floor").style.background = back ? "red" : "blue"; },
    zoom: back => canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: back ? 40 : -40,
      cancelable: true, clientX: box.left + box.width / 3, clientY: box.top + box.height / 2 })),
    pan: back => canvas.dispatchEvent(new KeyboardEvent("keydown", {
      key: back ? "ArrowLeft" : "ArrowRight", cancelable: true })),
  };
  if (!document.querySelector("#floor")) {
    const dot = document.createElement("i");
    dot.id = "floor";
    dot.style.cssText = "position:fixed;left:2px;top:2px;width:2px;height:1px";
    document.body.append(dot);
  }
  let last = performance.now(), turn = 0;
  const next = now => {
    taken.push(now - last);
    drawn.push(Number(document.querySelector(".map-stage").dataset.drawn));
    last = now;
    if (taken.length > frames) { done([taken.slice(1), drawn.slice(1)]); return; }
    turn += 1;
    acts[how](how === "floor" ? turn % 2 : turn % 20 >= 10);
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""


class Moved(NamedTuple):
    """What moving the map cost: milliseconds, and how many points a frame drew."""

    frame: float
    slow: float
    """The 95th percentile."""
    work: float
    """The browser's processor time for a frame."""
    drawn: int


def map_figures(*, small: bool = False) -> list[Result]:
    """Every figure of the map."""
    features = 4096 if small else WIDE
    rows = []
    with _served(features) as (browser, address):
        for painter in ("webgl", "canvas"):
            what = f"map of {features:,} features, {painter}"
            page = browser.new_page(viewport={"width": 1500, "height": 1000})
            if painter == "canvas":
                page.add_init_script(NO_WEBGL)
            page.goto(address, timeout=PATIENCE)
            page.wait_for_selector(".gallery .face", state="attached", timeout=PATIENCE)
            seconds, work = _first_paint(browser, page)
            found = page.locator(".map").get_attribute("data-painter")
            assert found == painter, f"the map was painted with {found}"
            rows += [
                _at_most(f"{what}: first paint", seconds, "s", FIRST_BAR),
                _at_most(f"{what}: first paint, processor", work, "s", FIRST_BAR),
            ]
            floor = _moved(browser, page, "floor")
            rows += _frames(f"{what}: floor, nothing drawn", floor)
            for how in ("pan", "zoom"):
                moved = _moved(browser, page, how)
                each = f"{what}: {how}, {moved.drawn:,} points drawn"
                more = moved.work - floor.work
                rows += [
                    *_frames(each, moved),
                    # The floor alone takes more than a frame of one core on some machines.
                    _at_most(f"{each}: processor, more than the floor's", more, "ms", FRAME_BAR),
                ]
            page.close()
    return rows


def _frames(what: str, moved: Moved) -> list[Result]:
    return [
        _at_most(f"{what}: frame", moved.frame, "ms", FRAME_BAR),
        _at_most(f"{what}: 95th percentile", moved.slow, "ms", SLOW_BAR),
    ]


def _at_most(what: str, value: float, unit: str, bar: float) -> Result:
    return Result(what, value, unit, bar, at_least=False)


def _first_paint(browser: Browser, page: Page) -> tuple[float, float]:
    """Seconds from the click on the tab until the whole map is seen, and of processor time."""
    before = _processor(browser) + time.process_time()
    page.set_default_timeout(PATIENCE)
    took = page.evaluate(OPEN)
    return took / 1000, _processor(browser) + time.process_time() - before


def _moved(browser: Browser, page: Page, how: str) -> Moved:
    page.locator(".map-stage").scroll_into_view_if_needed()
    # The first frames find out how many points there is time for.
    page.evaluate(MOVE, [10, how])
    before = _processor(browser)
    taken, drawn = page.evaluate(MOVE, [FRAMES, how])
    work = 1000 * (_processor(browser) - before) / FRAMES
    slow = statistics.quantiles(taken, n=20)[-1]
    return Moved(statistics.median(taken), slow, work, round(statistics.median(drawn)))


def _processor(browser: Browser) -> float:
    """Seconds of processor time that all of the browser's processes took so far."""
    session = browser.new_browser_cdp_session()
    told: Any = session.send("SystemInfo.getProcessInfo")
    session.detach()
    return sum(each["cpuTime"] for each in told["processInfo"])


@contextmanager
def _served(features: int) -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of a page whose SAE's atlas has a map of so many features."""
    from ui.server import start

    demo = Session.demo()
    sae = sae_of(features, next(iter(demo.saes.values())).d_in)
    session = Session(demo.model, {"sae": sae})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Atlas.create(folder / f"{sae.fingerprint}.sqlite", sae) as atlas:
            _fill(atlas, features)
        with (
            patch("steering.atlas.places.user_folder", lambda: folder),
            sync_playwright() as playwright,
        ):
            served, host, address = start(lambda: session, presets=folder)
            assert host.wait(60), "the session is there already"
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=GL)
            yield browser, address
            browser.close()
            served.close()


def _fill(atlas: Atlas, features: int) -> None:
    """Statistics, labels and places: clusters of points, as a layout has them."""
    torch.manual_seed(0)
    chance = random.Random(0)
    own = torch.randint(CLUSTERS, (features,))
    places = 6 * torch.randn(CLUSTERS, 2)[own] + 0.4 * torch.randn(features, 2)
    densities = 10 ** (-5 * torch.rand(features))
    histogram = bytes(300)
    with atlas.writing() as db:
        db.many(
            "INSERT INTO stats VALUES (?, 1, ?, 1.0, 1.0, 1.0, x'', ?)",
            ((f, density, histogram) for f, density in enumerate(densities.tolist())),
        )
        columns = (range(features), *places.T.tolist(), own.tolist())
        db.many("INSERT INTO places VALUES (?, ?, ?, ?)", zip(*columns, strict=True))
        db.many(
            "INSERT INTO clusters VALUES (?, ?)", ((c, f"cluster {c}") for c in range(CLUSTERS))
        )
    named = chance.sample(range(features), min(features, 2000))
    add_labels(atlas, [Label(f, f"label of {f}", "bench") for f in named])


if __name__ == "__main__":
    command(map_figures, __doc__)
