"""A real page in a real browser: Debian's Chromium, driven by Playwright.

Every page records what it asks for and what goes wrong in it; a test fails when anything leaves
this machine or a script throws.

Opening a page is most of what a test takes, and in a tab that showed it before it takes half: so
tests load their pages in one tab, one after another.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

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
OpenPage = Callable[..., Page]

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
    """One browser for all tests."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium here, and continuous integration must have one.")
        pytest.skip("There is no chromium here. Install it: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@dataclass
class Heard:
    """What pages asked of other machines, and what went wrong in them."""

    left: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> BrowserContext:
        """Hear all pages of a context, from their first request on."""
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda r: self.left.append(r.url) if not is_here(r.url) else None)
        context.on("weberror", lambda error: self.broken.append(str(error.error)))
        context.on("console", lambda m: self.broken.append(m.text) if is_script_error(m) else None)
        return context

    def catch_up(self) -> None:
        """Hear what open pages said last, which comes only while something is asked of them."""
        for page in (page for context in self.contexts for page in context.pages):
            page.evaluate("0")


@pytest.fixture(scope="session")
def heard() -> Heard:
    """What all pages were heard to do."""
    return Heard()


@pytest.fixture
def watched(heard: Heard) -> Iterator[None]:
    """Holds against the test what was heard of its pages."""
    yield
    heard.catch_up()
    left, broken = heard.left[:], heard.broken[:]
    heard.left.clear()
    heard.broken.clear()
    assert left == [], "the page asked another machine"
    assert broken == [], "a script of the page threw"


@pytest.fixture(scope="session")
def tab(browser: Browser, heard: Heard) -> Iterator[Page]:
    """The tab of one person, in which tests open their pages one after another."""
    context = heard.listen(browser.new_context(viewport={"width": 1400, "height": 950}))
    yield context.new_page()
    context.close()


@pytest.fixture
def open_page(tab: Page, watched: None) -> OpenPage:
    """Opens an address in the one tab, by default on a desktop in the light."""

    def opened(
        address: str,
        width: int = 1400,
        height: int = 950,
        color_scheme: Literal["light", "dark"] = "light",
    ) -> Page:
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(color_scheme=color_scheme)
        visit(tab, address)
        return tab

    return opened


@pytest.fixture
def new_page(browser: Browser, heard: Heard, watched: None) -> Iterator[NewPage]:
    """Opens pages like another visitor's, or on another device."""
    contexts: list[BrowserContext] = []

    def open_page(width: int = 1400, height: int = 950, **options: object) -> Page:
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(heard.listen(context))
        return context.new_page()

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
    tab: Page, open_page: OpenPage, address: str, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """The page on a desktop with an empty rack: the test before's, cleared, or else loaded.

    How to write is as `clear` leaves it; what a first visitor finds, tests of `open_page` see.
    """
    failed = request.session.testsfailed
    if not cleared_as_before(tab):
        open_page(address)
        clear(tab)
        tab.evaluate(f"() => {{ window.cleared = ({LOOK})(); }}")
    yield tab
    if request.session.testsfailed > failed:
        tab.goto("about:blank")


# Every control and the texts that tests wait for, but for the gallery, which presets of tests come
# into.
LOOK = """() => JSON.stringify([
  location.search,
  [...document.querySelectorAll("input:not([type=file]), select, textarea")].map((node) =>
    [node.checkVisibility(), /checkbox|radio/.test(node.type) ? node.checked : node.value]),
  [...document.querySelectorAll("#rack, #found, #notice, #tabs, .toast-wrap")].map((node) =>
    node.innerText),
  [...document.querySelectorAll(".heatmap, #strongest, .explore-card")].map((node) =>
    node.textContent),
])"""


def cleared_as_before(page: Page) -> bool:
    """Whether the page, if there is one, could be cleared to what it was when it came.

    Its look stands in the page itself, and goes when the tab goes elsewhere.
    """
    if page.evaluate("window.cleared") is None:
        return False
    try:
        clear(page)
    except (Error, AssertionError):
        return False
    return page.evaluate(f"({LOOK})() === window.cleared")


def clear(page: Page) -> None:
    """Take back what was set up, as a person can.

    A preset sets how to write and where to steer; it is one that no test picks, since the picked
    one stays picked.
    """
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    page.get_by_role("tab", name="Steer").click()
    for each in (".toast-close", ".rack .head button:text-is('Clear'):enabled", ".extras .quiet"):
        press_all(page, each)
    page.uncheck("#blind input")
    pick(page, "suppression")
    page.click(".rack >> text=Clear")
    page.fill("#add input, #add textarea", "")
    if page.locator("#found .found").count():
        page.click("#add button")
    page.click("#new-chat")
    expect(page.locator("#prompt textarea")).to_have_value("")
    expect(page.locator("#found .found, .toast-body")).to_have_count(0)
    page.evaluate("history.replaceState(null, '', location.pathname)")


def press_all(page: Page, buttons: str) -> None:
    """Press buttons that go when they are pressed, or can no longer be."""
    for button in reversed(page.locator(buttons).all()):
        button.click(timeout=5000)


def visit(page: Page, address: str) -> None:
    """Open the page and wait until the model is there."""
    page.goto(address)
    page.wait_for_selector(".gallery .face", timeout=60_000, state="attached")


def pick(page: Page, name: str) -> None:
    """Choose a preset."""
    page.click(f".gallery .face[data-name='{name}']")
    page.wait_for_selector(f".gallery .face[data-name='{name}'][aria-pressed=true]")
    page.wait_for_selector(".rack .row")


def add(page: Page, typed: str) -> None:
    """Type a feature, or words, into the rack's box."""
    page.fill("#add input, #add textarea", typed)
    page.click("#add button")


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
