"""A real page in a real browser: Debian's Chromium, driven by Playwright.

Every page records what it asks for and what goes wrong in it; a test fails when anything leaves
this machine or a script throws.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.ui.serving import free_port, until_it_answers

ROOT = Path(__file__).parent.parent.parent
SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 40_000
"""Milliseconds: a busy machine must not look like a broken page."""
HERE = {"127.0.0.1", "localhost", None}

NewPage = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def presets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The presets of the person at the page."""
    return tmp_path_factory.mktemp("presets")


@pytest.fixture(scope="session")
def address(presets_folder: Path) -> Iterator[str]:
    """The page as `steer ui` serves it, with the bundled model."""
    port = free_port()
    steer = Path(sys.executable).parent / "steer"
    flags = ["--port", str(port), "--presets", str(presets_folder)]
    server = subprocess.Popen([steer, "ui", *flags], stdout=subprocess.PIPE, text=True)
    try:
        until_it_answers(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.communicate(timeout=20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each page has a context of its own."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium here, and continuous integration must have one.")
        pytest.skip("There is no chromium here. Install it: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def one_person(browser: Browser) -> Iterator[BrowserContext]:
    """A browser context that keeps what it loaded, so that the next page opens faster."""
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    yield context
    context.close()


@pytest.fixture
def watched() -> Iterator[Callable[[Page], Page]]:
    """Records what pages ask for and what goes wrong in them, and holds it against the test."""
    left: list[str] = []
    broken: list[str] = []

    def watch(page: Page) -> Page:
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda r: left.append(r.url) if not is_here(r.url) else None)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda m: broken.append(m.text) if is_script_error(m) else None)
        return page

    yield watch
    assert left == [], "the page asked another machine"
    assert broken == [], "a script of the page threw"


@pytest.fixture
def new_page(browser: Browser, watched: Callable[[Page], Page]) -> Iterator[NewPage]:
    """Opens pages like another visitor's."""
    contexts: list[BrowserContext] = []

    def open_page(width: int = 1400, height: int = 950, **options: object) -> Page:
        size = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=size, **options))  # type: ignore[arg-type]
        return watched(contexts[-1].new_page())

    yield open_page
    for context in contexts:
        context.close()


def is_here(url: str) -> bool:
    """Whether a request stays on this machine."""
    return urlparse(url).hostname in HERE or url.startswith(("data:", "blob:"))


def is_script_error(message: object) -> bool:
    """Whether a console message is of a script that threw."""
    text = getattr(message, "text", "")
    return getattr(message, "type", "") == "error" and "js_on_load" in text


@pytest.fixture
def page(
    one_person: BrowserContext, watched: Callable[[Page], Page], address: str
) -> Iterator[Page]:
    """The page, loaded, on a desktop."""
    opened = watched(one_person.new_page())
    visit(opened, address)
    yield opened
    opened.close()


def visit(page: Page, address: str) -> None:
    """Open the page and wait until the model is there."""
    page.goto(address)
    page.wait_for_selector(".gallery .face", timeout=60_000, state="attached")


def pick(page: Page, name: str) -> None:
    """Choose a preset."""
    page.click(f".gallery .face[data-name='{name}']")
    page.wait_for_selector(f".gallery .face[data-name='{name}'][aria-pressed=true]")
    page.wait_for_selector(".rack .row")


def generate(page: Page, prompt: str | None = None) -> dict[str, str]:
    """Press Generate and return the texts by pane, when they are done."""
    if prompt is not None:
        page.fill("#prompt textarea", prompt)
    page.evaluate("document.querySelector('.panes-root').dataset.phase = 'asked'")
    page.click("#generate")
    return finished(page)


def finished(page: Page) -> dict[str, str]:
    """The texts by pane, when they are done."""
    page.wait_for_selector(".panes-root[data-phase=done]")
    panes = page.locator("#panes .pane").all()
    return {p.get_attribute("data-name") or "": p.locator(".written").inner_text() for p in panes}


def toasts(page: Page) -> str:
    """What the page says in its corner, when it says something."""
    page.wait_for_selector(".toast-body")
    return page.locator(".toast-wrap").inner_text()


def shot(page: Page, name: str) -> None:
    """Keep a picture where continuous integration can collect it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
