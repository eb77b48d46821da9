"""The Explore tab in a real browser, over a tiny model: find, read, try, name and add features."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import tiny
from tests.atlas import made
from tests.browser.conftest import NewPage, OpenPage, shot, toasts, visit
from tests.ui.pages import PROMPT
from tests.ui.serving import served

HOSTILE = "<img src=x onerror=document.title='taken'> </script> ${1} {{x}} bridge"
NAMED = 5


@pytest.fixture(scope="module")
def atlases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the person's own atlases."""
    folder = tmp_path_factory.mktemp("atlases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steering.atlas.places.user_folder", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def explored(atlases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page whose SAE has an atlas, one of whose labels is hostile."""
    from steering.atlas.labels import Label, add_labels

    folder = tmp_path_factory.mktemp("explored")
    session = tiny.session(chat=True)
    sae = session.saes["sae"]
    path = atlases / f"{sae.fingerprint}.sqlite"
    with made.build(path, made.text_file(folder), sae) as atlas:
        add_labels(atlas, [Label(NAMED, HOSTILE, "elsewhere <b>", 0.75)])
        with atlas.writing() as db:
            db.run("INSERT INTO scores VALUES (?, ?)", (NAMED, 0.5))
    with served(lambda: session, folder) as (address, host):
        assert host.wait(60)
        yield address


@pytest.fixture(scope="module")
def bare(atlases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page whose SAE has no atlas."""
    session = tiny.session(seed=1)
    with served(lambda: session, tmp_path_factory.mktemp("bare")) as (address, host):
        assert host.wait(60)
        yield address


@pytest.fixture
def page(open_page: OpenPage, explored: str) -> Page:
    """The Explore tab over an atlas."""
    return explore(open_page(explored))


def explore(page: Page) -> Page:
    """Open the Explore tab."""
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_selector(".explore-atlas p")
    return page


def search(page: Page, words: str, way: str = "Words of its label") -> None:
    """Search, and wait for the table's answer to these words."""
    page.fill("#explore-words textarea, #explore-words input", words)
    page.locator("#explore-way label", has_text=way).click()
    page.click("#explore-words button")
    expect(page.locator(".explore-found > p")).to_contain_text(f"found for “{words}")


def open_named(page: Page) -> None:
    """Search for the hostile label and open its card."""
    search(page, "bridge")
    page.click(f".explore-found tr[data-feature='{NAMED}'] .walk")
    expect(page.locator(".explore-card h3")).to_contain_text(f"#{NAMED}")


def test_a_feature_is_found_read_tried_and_added(page: Page) -> None:
    expect(page.locator(".explore-atlas")).to_contain_text("64 features, 1 with a label")
    open_named(page)
    row = page.locator(f".explore-found tr[data-feature='{NAMED}']")
    expect(row).to_contain_text("0.75")
    expect(row.locator(".steers.strong")).to_have_count(1)
    assert row.locator(".spark i").count() > 0
    card = page.locator(".explore-card")
    expect(card.locator(".facts")).to_contain_text("max act")
    assert card.locator(".histogram i").count() > 1
    first = card.locator(".examples li").first
    expect(first.locator("mark")).to_have_count(1)
    expect(first.locator("mark")).to_have_attribute("title", re.compile("100 % of its maximum"))
    expect(card.locator(".gains")).to_have_count(2)
    card.get_by_text("Samples by tenth").click()
    shot(page, "explore-card")
    page.fill(".explore-try input", PROMPT)
    page.keyboard.press("Enter")
    expect(page.locator(".explore-try .cell")).to_have_count(6)
    expect(page.locator(".explore-try input")).to_be_focused()
    assert page.locator(".explore-try .cell.unsteered p").inner_text()
    expect(page.locator(".explore-try .cell small")).to_have_count(5)
    assert re.fullmatch(r"‖Δ‖/‖resid‖ \d\.\d\d", page.inner_text(".explore-try .cell small"))
    shot(page, "explore-try")
    page.locator(".explore-try .cell button").nth(1).click()
    expect(page.locator(".rack .row")).to_have_count(1)
    expect(page.locator(".rack .number")).to_have_value("0.25")
    row.locator("td button").click()
    card.get_by_role("button", name="Add to rack").click()
    expect(page.locator(".rack .row")).to_have_count(3)
    expect(page.locator(".rack .row .label").first).to_have_text(HOSTILE)


def test_labels_and_tokens_are_text_and_never_markup(page: Page) -> None:
    open_named(page)
    expect(page.locator(".explore-found .walk b")).to_have_text(HOSTILE)
    expect(page.locator(".explore-card .labels")).to_contain_text("elsewhere <b>")
    assert page.locator(".explore-found img, .explore-card img, .rack img").count() == 0
    assert page.title() != "taken"


def test_a_click_walks_to_a_neighbour_within_the_radius(page: Page) -> None:
    open_named(page)
    slider = page.get_by_label("Radius, as cosine distance")
    slider.fill("0.1")
    expect(page.locator(".explore-card .ring")).to_have_count(0)
    expect(page.locator(".explore-card")).to_contain_text("the nearest is at")
    slider.fill("1")
    near = page.locator(".explore-card .ring .walk").first
    number = near.get_attribute("data-feature")
    near.press("Enter")
    expect(page.locator(".explore-card h3")).to_contain_text(f"#{number}")


def test_a_persons_own_label_survives_a_reload(page: Page, explored: str) -> None:
    open_named(page)
    page.fill("#add input, #add textarea", str(NAMED + 1))
    page.keyboard.press("Enter")
    expect(page.locator(".rack .row")).to_have_count(1)
    page.click(".explore-card .add")
    expect(page.locator(".rack .row")).to_have_count(2)
    page.locator(".rack .number").last.fill("0.75")
    page.click("text=Samples by tenth")
    for own in ("fog <i>over</i> the bay", "fog over the sea"):
        page.fill(".explore-card .labels input", own)
        page.keyboard.press("Enter")
        expect(page.locator(".explore-card h3")).to_contain_text(own)
        row = page.locator(f".explore-found tr[data-feature='{NAMED}'] .walk b")
        expect(row).to_have_text(own)
        expect(page.locator(".rack .row .label").last).to_have_text(own)
        expect(page.locator(".rack .row .label").first).to_have_text(f"feature {NAMED + 1}")
        expect(page.locator(".rack .number").last).to_have_value("0.75")
        # Who reads on finds the card as it was.
        expect(page.locator(".explore-card .labels input")).to_be_focused()
        assert page.locator(".explore-card details[open]").count() == 1
    visit(page, explored)
    explore(page)
    search(page, "fog sea")
    page.click(".explore-found .walk")
    expect(page.locator(".explore-card .labels")).to_contain_text("person")
    page.fill(".explore-card .labels input", "")
    page.keyboard.press("Enter")
    expect(page.locator(".explore-card h3")).to_contain_text(HOSTILE)


def test_every_way_to_search_finds_something(page: Page) -> None:
    search(page, "city", "A token it promotes")
    expect(page.locator(".explore-found .why").first).to_contain_text("promotes 'city'")
    search(page, PROMPT, "A text that should fire it")
    expect(page.locator(".explore-found caption")).to_have_count(2)
    expect(page.locator("#explore-way")).to_contain_text("steer atlas embed")
    page.locator("#explore-way label", has_text="The difference of two texts").click()
    page.fill("#explore-other textarea, #explore-other input", "we walk over the sea")
    page.keyboard.press("Enter")
    expect(page.locator(".explore-found caption")).to_have_text(
        ["More in the first text", "More in the second text"]
    )
    shot(page, "explore-contrast")
    search(page, "bridge", "Suggest for a subject")
    expect(page.locator("#explore-other")).to_be_hidden()
    page.locator(".explore-found td button").first.click()
    expect(page.locator(".rack .row .edit")).to_have_value("clamp")
    search(page, "xylophone")
    expect(page.locator(".explore-found tr")).to_have_count(0)
    search(page, "bridge")
    expect(page.locator(".explore-found tr")).not_to_have_count(0)
    page.fill("#explore-words textarea, #explore-words input", "")
    page.click("#explore-words button")
    assert "nothing to search for" in toasts(page)
    expect(page.locator(".explore-found tr")).to_have_count(0)


def test_a_page_without_an_atlas_says_how_to_build_one_and_can(
    open_page: OpenPage, bare: str
) -> None:
    page = explore(open_page(bare))
    expect(page.locator(".explore-atlas")).to_contain_text("has no atlas")
    expect(page.locator(".explore-atlas code")).to_contain_text("steer atlas build --text FILE")
    search(page, PROMPT, "A text that should fire it")
    page.click(".explore-found .walk >> nth=0")
    expect(page.locator(".explore-card")).to_contain_text("Nothing was measured of it")
    shot(page, "explore-no-atlas")
    page.click(".explore-atlas button")
    expect(page.locator(".explore-atlas.ready")).to_contain_text("64 features")
    expect(page.locator(".explore-card .facts")).to_contain_text("fires on")
    expect(page.locator(".map [role=status]")).to_contain_text("steer atlas map")
    expect(page.locator("text=Make the map here")).to_be_enabled()
    assert page.locator(".explore-found .spark i").count() > 0


def test_the_tab_fits_a_phone_in_the_dark(new_page: NewPage, explored: str) -> None:
    phone = new_page(390, 844, has_touch=True, is_mobile=True, color_scheme="dark")
    visit(phone, explored)
    explore(phone)
    phone.wait_for_timeout(600)
    open_named(phone)
    expect(phone.locator(".explore-card h3")).to_be_in_viewport()
    phone.click(".explore-try button[type=submit]")
    expect(phone.locator(".explore-try .cell")).to_have_count(6)
    shot(phone, "explore-phone")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
