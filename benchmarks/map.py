"""The map of 131,072 features in a browser: until it is painted, and a frame while it is moved.

Headless Chromium draws its WebGL in software here, so a graphics card does better.
`python -m benchmarks.map` prints the table; `--small` takes a map of 4,096 features.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from playwright.sync_api import Page, sync_playwright

from benchmarks.atlas import WIDE, sae_of
from benchmarks.result import Result
from steering.atlas.labels import Label, add_labels
from steering.atlas.store import Atlas
from steering.session import Session

CLUSTERS = 200
FRAMES = 60
GL = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
MOVE = """frames => new Promise(done => {
  const canvas = document.querySelector(".map-over"), box = canvas.getBoundingClientRect();
  const taken = [];
  let last = performance.now();
  const next = now => {
    taken.push(now - last);
    last = now;
    if (taken.length > frames) { done(taken.slice(1)); return; }
    const deltaY = taken.length % 30 < 15 ? -40 : 40;
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, cancelable: true,
      clientX: box.left + box.width / 3, clientY: box.top + box.height / 2 }));
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})"""


def map_figures(*, small: bool = False) -> list[Result]:
    """Every figure of the map."""
    features = 4096 if small else WIDE
    with _page_of(features) as page:
        began = time.perf_counter()
        page.get_by_role("tab", name="Explore").click()
        page.wait_for_selector(".map[data-phase=painted]", timeout=120_000)
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        painted = time.perf_counter() - began
        kind = page.locator(".map").get_attribute("data-painter")
        assert kind == "webgl", f"the map was painted with {kind}"
        page.locator(".map-stage").scroll_into_view_if_needed()
        frame = statistics.median(page.evaluate(MOVE, FRAMES))
    return [
        Result(f"map of {features:,} features, first paint", painted, "s", 3, at_least=False),
        Result(
            f"map of {features:,} features, a frame while zooming", frame, "ms", 33, at_least=False
        ),
    ]


@contextmanager
def _page_of(features: int) -> Iterator[Page]:
    """A page in a browser, ready, whose SAE's atlas has a map of so many features."""
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
            page = browser.new_page(viewport={"width": 1500, "height": 1000})
            page.goto(address)
            page.wait_for_selector(".gallery .face", state="attached", timeout=120_000)
            yield page
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


def main() -> None:
    """Print the table."""
    from benchmarks.__main__ import print_table

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--small", action="store_true")
    print_table(map_figures(small=asked.parse_args().small))


if __name__ == "__main__":
    main()
