"""What the page costs: until it answers and writes, beside a decode without it, and in memory.

The page runs as `steer ui` starts it and is read in a real browser (Debian's Chromium), on the
bundled model. `python -m benchmarks.page` prints the table; it takes about three minutes.
"""

import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.result import Result

TOKENS = 300
ROUNDS = 5
GENERATIONS = 200
SHORT = 40
PROMPT = "Tell me about the bridge."
STRENGTH = 0.3


def bridge() -> int:
    """The feature of the packaged Golden Gate preset."""
    from steering import load_preset

    feature = load_preset("golden-gate").interventions[0].intervention.feature
    assert feature is not None, "the preset steers a feature"
    return feature


@contextlib.contextmanager
def page_process() -> Iterator[tuple[str, psutil.Process, float]]:
    """`steer ui`, its process, and the seconds until its address answered."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    steer = Path(sys.executable).parent / "steer"
    address = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as presets:
        began = time.perf_counter()
        command = [str(steer), "ui", "--port", str(port), "--presets", presets]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(address, timeout=10).read()
                    break
                time.sleep(0.02)
            yield address, psutil.Process(server.pid), time.perf_counter() - began
        finally:
            server.terminate()
            server.wait(20)


def set_up(page: Page, address: str, tokens: int) -> None:
    """One clamped feature, a completion, and a number of tokens that no end cuts short."""
    page.goto(address)
    page.wait_for_selector(".gallery .face", timeout=60_000)
    page.fill("#add input, #add textarea", f"{bridge()}={STRENGTH}")
    page.click("#add button")
    page.wait_for_selector(".rack .row")
    page.click("label:has-text('Completion')")
    page.click("text=How to write")
    page.fill("label:has-text('New tokens') input", str(tokens))
    page.fill("label:has-text('Temperature') input", "0")
    page.uncheck("label:has-text('Stop at the end token') input")
    page.fill("#prompt textarea", PROMPT)


def written(page: Page, tokens: int) -> tuple[float, float]:
    """Seconds from pressing Generate to the first token in sight, and to the last one."""
    page.evaluate(
        """tokens => {
        const root = document.querySelector(".panes-root"), seen = { first: null, last: null };
        root.replaceChildren();
        root.dataset.phase = "asked";
        window.seen = seen;
        new MutationObserver((_, watcher) => {
            const count = root.querySelectorAll(".pane.steered .tok").length;
            if (count && seen.first === null) seen.first = performance.now() - seen.began;
            if (count !== tokens) return;
            seen.last = performance.now() - seen.began;
            watcher.disconnect();
        }).observe(root, { childList: true, subtree: true });
        seen.began = performance.now();
        document.querySelector("#generate").click();
    }""",
        tokens,
    )
    page.wait_for_selector(".panes-root[data-phase=done]", timeout=120_000)
    seen = page.evaluate("window.seen")
    return seen["first"] / 1000, seen["last"] / 1000


def moved(page: Page) -> float:
    """Seconds from pressing a key on the slider until its number stands there."""
    slider, number = page.locator(".rack .slider"), page.locator(".rack .number")
    slider.focus()
    before = number.input_value()
    began = time.perf_counter()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.rack .number').value !== before", arg=before
    )
    took = time.perf_counter() - began
    page.keyboard.press("ArrowLeft")
    return took


def without_page() -> Callable[[], float]:
    """The same decode from Python; returns what measures its seconds."""
    from steering import Intervention, Sampling, Session
    from ui.server import leaving_a_core

    session = leaving_a_core(Session.demo)()  # The same threads on both sides.
    edit = Intervention(feature=bridge(), strength=STRENGTH)
    how = Sampling(max_new_tokens=TOKENS, temperature=0, stop_at_eos=False)

    def run() -> float:
        began = time.perf_counter()
        made = session.compare(PROMPT, [edit], how)
        assert all(len(row.token_ids) == TOKENS for row in made.rows)
        return time.perf_counter() - began

    run()
    return run


def page_figures() -> list[Result]:
    """Every figure, both sides in one run."""
    with page_process() as (address, server, answered), sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        set_up(page, address, TOKENS)
        plain = without_page()
        written(page, TOKENS)
        firsts, ratios = [], []
        for _ in range(ROUNDS):
            first, whole = written(page, TOKENS)
            firsts.append(first)
            ratios.append(plain() / whole)
        slider = statistics.median(moved(page) for _ in range(ROUNDS))
        page.fill("label:has-text('New tokens') input", str(SHORT))
        growth = memory_growth(page, server)
        browser.close()
    return [
        Result("`steer ui` until its address answers", answered, "s", 5, at_least=False),
        Result("Generate to first token", statistics.median(firsts), "s", 1, at_least=False),
        Result("panes over the same decode", statistics.median(ratios), "×", 0.8, at_least=True),
        Result("slider key to number", 1000 * slider, "ms", 200, at_least=False),
        Result(f"growth over {GENERATIONS} generations", growth, "MB", 20, at_least=False),
    ]


def memory_growth(page: Page, server: psutil.Process) -> float:
    """MB by which the server grew from the 20th to the last generation."""
    sizes = []
    for _ in range(GENERATIONS):
        written(page, SHORT)
        sizes.append(server.memory_info().rss / 1e6)
    return statistics.mean(sizes[-10:]) - statistics.mean(sizes[20:30])
