"""The Golden Gate feature's neighbourhood as the page shows it, on the bundled model."""

import io

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import pick, shot
from tests.bundled import FEATURE

NEAREST = 10
ENOUGH = 3
"""Of the nearest, since many features name no place; the model card asks more of those that do."""


def open_bridge(page: Page) -> None:
    """Open the card of the preset's feature, by way of its label."""
    pick(page, "golden-gate")
    label = page.locator(".rack .row .label").first.inner_text()
    page.get_by_role("tab", name="Explore").click()
    page.fill("#explore-words textarea, #explore-words input", label)
    page.click("#explore-words button")
    page.locator(f".explore-found tr[data-feature='{FEATURE}'] .walk").click()
    expect(page.locator(".explore-card h3")).to_contain_text(f"#{FEATURE}")


def names_its_region(label: str) -> bool:
    """Whether a label names the bridge's city, its state, or a place there but the bridge."""
    from steering.demo.concepts import BRIDGE, by_name, find

    city, state = by_name()[BRIDGE].path[:-3:-1]
    named = [(*each.path, each.name) for _, _, each in find(label) if each.name != BRIDGE]
    return any(city in way or state in way for way in named)


def test_near_the_bridge_lie_its_city_and_its_state(page: Page) -> None:
    open_bridge(page)
    card = page.locator(".explore-card")
    card.get_by_label("Radius, as cosine distance").fill("1")
    labels = card.locator(".ring .walk").all_inner_texts()[:NEAREST]
    assert len(labels) == NEAREST
    assert sum(map(names_its_region, labels)) >= ENOUGH, labels
    expect(card.get_by_role("region", name="Fires together with")).to_be_visible()
    page.wait_for_selector(".map[data-phase=painted]")
    page.locator(".map-stage").scroll_into_view_if_needed()
    seen = page.locator(".map-stage").screenshot()
    colours = np.asarray(Image.open(io.BytesIO(seen)).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 100, "clusters have a colour each"
    shot(page, "neighbourhood")
