"""The map in a real browser, over a tiny model: painted, moved, clicked, lassoed, lit by a text."""

import base64
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from steering.errors import AtlasError
from tests import tiny
from tests.atlas import made
from tests.browser.conftest import CHROMIUM, FLAGS, Heard, NewPage, generate, shot, visit
from tests.ui.pages import PROMPT
from tests.ui.serving import served
from ui.assets import script

if TYPE_CHECKING:
    from ui.host import Host

HOSTILE = "<img src=x onerror=document.title='taken'> </script> ${1} {{x}} bridge"
NAMED = 5
SOFTWARE_GL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
# In software the map alone needs GL: with it the rest of the page took as long as all scripts.
SOFTWARE_GL += ["--disable-gpu-compositing"]
NO_WEBGL = """() => {
  const real = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest);
  };
}"""
FIT = 0.92
"""Of the stage, which the whole map fills at first."""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, "Host"]]:
    """A page whose SAE has an atlas with a map, and its host; one label is hostile."""
    from steering.atlas.labels import Label, add_labels
    from steering.atlas.map import make_map

    folder = tmp_path_factory.mktemp("mapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steering.atlas.places.user_folder", lambda: folder)
        session = tiny.session(chat=True)
        sae = session.saes["sae"]
        path = folder / f"{sae.fingerprint}.sqlite"
        with made.build(path, made.text_file(folder), sae) as atlas:
            named = [Label(f, f"a tower {f}", "elsewhere") for f in range(0, sae.d_sae, 2)]
            add_labels(atlas, [Label(NAMED, HOSTILE, "elsewhere", 0.75), *named])
            make_map(atlas, sae)
        with served(lambda: session, folder) as (address, host):
            assert host.wait(60)
            yield address, host


@pytest.fixture(scope="module")
def drawing(browser: Browser) -> Iterator[Browser]:
    """A browser that draws WebGL, in software."""
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=[*flags, *SOFTWARE_GL])
    yield started
    started.close()


@pytest.fixture(scope="module")
def map_tab(drawing: Browser, heard: Heard) -> Iterator[Page]:
    """A tab of that browser, in which tests open their pages one after another."""
    context = heard.listen(drawing.new_context(viewport={"width": 1400, "height": 1000}))
    yield context.new_page()
    context.close()


@pytest.fixture
def opened(map_tab: Page, mapped: tuple[str, "Host"], watched: None) -> Page:
    """The Explore tab with its map painted."""
    explore(map_tab, mapped[0])
    return map_tab


def explore(page: Page, address: str) -> None:
    """Open the Explore tab and wait until the map is painted."""
    visit(page, address)
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_selector(".map[data-phase=painted]", timeout=60_000)
    page.locator(".map-stage").scroll_into_view_if_needed()


def places(page: Page, host: "Host") -> dict[int, tuple[float, float]]:
    """Where each feature stands in the window while the whole map is shown."""
    from ui.map import packed_map

    told = packed_map(host.session, "sae")
    n, raw = told["count"], base64.b64decode(told["points"])
    features = np.frombuffer(raw, "<u4", n).tolist()
    at = np.frombuffer(raw, "<u2", 2 * n, 4 * n).reshape(n, 2) / 65535
    box: Any = page.locator(".map-over").bounding_box()
    scale = FIT * min(box["width"], box["height"])
    x = box["x"] + box["width"] / 2 + (at[:, 0] - 0.5) * scale
    y = box["y"] + box["height"] / 2 - (at[:, 1] - 0.5) * scale
    return dict(zip(features, zip(x.tolist(), y.tolist(), strict=True), strict=True))


def alone(where: dict[int, tuple[float, float]], feature: int) -> float:
    """How far the nearest other point is, in pixels."""
    x, y = where[feature]
    return min(((x - a) ** 2 + (y - b) ** 2) ** 0.5 for f, (a, b) in where.items() if f != feature)


def pixels(page: Page) -> np.ndarray:
    """What the whole window shows."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def at_places(page: Page, where: dict[int, tuple[float, float]]) -> np.ndarray:
    """What the window shows where features stand while the whole map is shown."""
    shown = pixels(page)
    return np.stack([shown[round(y), round(x)] for x, y in where.values()])


def painted(page: Page, host: "Host") -> float:
    """The share of features at whose place the picture is not the background."""
    shown = pixels(page)
    box: Any = page.locator(".map-over").bounding_box()
    ground = shown[int(box["y"]) + 4, int(box["x"]) + 4]
    spots = [shown[round(y), round(x)] for x, y in places(page, host).values()]
    return float(np.mean([abs(spot - ground).sum() > 30 for spot in spots]))


def colours(page: Page, host: "Host", mode: str) -> dict[int, np.ndarray]:
    """The red, green and blue in the middle of each feature that no other touches.

    The names of clusters, which lie over some of them, are made invisible.
    """
    page.click(f"[data-mode={mode}]")
    expect(page.locator(f"[data-mode={mode}]")).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 0)
    page.locator(".map-over").evaluate("names => { names.style.opacity = 0; }")
    page.wait_for_timeout(300)
    shown, where = pixels(page), places(page, host)
    return {f: shown[round(y), round(x)] for f, (x, y) in where.items() if alone(where, f) > 8}


def of_features(host: "Host", what: str) -> dict[int, float]:
    """A column of the stored map."""
    from steering.atlas.map import map_points

    atlas = host.session.atlas("sae")
    assert atlas is not None
    points = map_points(atlas)
    return dict(zip(points.features.tolist(), getattr(points, what).tolist(), strict=True))


def test_every_feature_is_painted_where_the_map_has_it(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    assert opened.locator(".map").get_attribute("data-painter") == "webgl"
    assert painted(opened, mapped[1]) > 0.95
    shot(opened, "map")


def test_a_feature_that_fires_more_often_is_lighter_where_density_is_shown(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    from steering.measure.ranks import spearman

    seen = colours(opened, mapped[1], "density")
    level = of_features(mapped[1], "densities")
    assert len(seen) > 10 and len({level[f] for f in seen}) > 5
    light = [float(seen[f] @ [0.299, 0.587, 0.114]) for f in seen]
    assert spearman([level[f] for f in seen], light) > 0.95


def test_features_of_one_cluster_share_a_colour_and_those_of_others_have_others(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    seen = colours(opened, mapped[1], "cluster")
    cluster = of_features(mapped[1], "clusters")
    by_cluster: dict[float, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for feature, colour in seen.items():
        by_cluster[cluster[feature]][tuple(colour.tolist())] += 1
    usual = [found.most_common(1)[0] for found in by_cluster.values()]
    assert len(usual) > 1 and len({colour for colour, _ in usual}) == len(usual)
    assert sum(count for _, count in usual) == len(seen)


def test_only_what_fires_on_the_text_is_warm(opened: Page, mapped: tuple[str, "Host"]) -> None:
    from ui.map import lit_by

    opened.fill("#map-text textarea", PROMPT)
    opened.click("#map-text button")
    opened.wait_for_selector(".map-row")
    told = lit_by(mapped[1].session, "sae", PROMPT)
    lit = set(np.frombuffer(base64.b64decode(told["features"]), "<u4").tolist())
    seen = colours(opened, mapped[1], "activation")
    warm = {f for f, (red, _, blue) in seen.items() if red > blue + 60}
    assert 0 < len(lit & set(seen)) < len(seen)
    assert warm <= lit and len(warm) > 0.9 * len(lit & set(seen))


def test_a_button_pressed_by_key_keeps_the_keyboard(opened: Page) -> None:
    for each in ("[data-mode=density]", "[data-tool=lasso]"):
        opened.locator(each).focus()
        opened.keyboard.press("Enter")
        expect(opened.locator(each)).to_have_attribute("aria-pressed", "true")
        expect(opened.locator(each)).to_be_focused()


def test_a_browser_without_webgl_is_told_and_paints_the_same_points(
    drawing: Browser, mapped: tuple[str, "Host"], heard: Heard, watched: None
) -> None:
    context = heard.listen(drawing.new_context(viewport={"width": 1400, "height": 1000}))
    page = context.new_page()
    page.add_init_script(f"({NO_WEBGL})()")
    explore(page, mapped[0])
    assert page.locator(".map").get_attribute("data-painter") == "canvas"
    expect(page.locator(".map [role=status]")).to_contain_text("no WebGL")
    assert painted(page, mapped[1]) > 0.95
    context.close()


def test_a_point_says_its_label_and_opens_its_card(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    where = places(opened, mapped[1])
    assert alone(where, NAMED) > 3, "the tiny map puts the named feature under another one"
    opened.mouse.move(*where[NAMED])
    expect(opened.locator(".map-tip")).to_contain_text(HOSTILE)
    opened.mouse.click(*where[NAMED])
    expect(opened.locator(".explore-card")).to_contain_text(f"#{NAMED}")
    expect(opened.locator(".explore-card")).to_contain_text(HOSTILE)
    assert opened.title() != "taken"


def test_the_map_is_zoomed_and_moved_by_wheel_drag_and_keys(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    where = places(opened, mapped[1])
    x, y = where[NAMED]
    first = at_places(opened, where)
    opened.mouse.move(x, y)
    opened.mouse.wheel(0, -400)
    opened.wait_for_timeout(300)
    # What is under the pointer stays there.
    opened.mouse.move(x + 1, y)
    expect(opened.locator(".map-tip")).to_contain_text(f"#{NAMED}")
    opened.mouse.down()
    opened.mouse.move(x + 90, y + 40, steps=4)
    opened.mouse.up()
    opened.mouse.move(x + 91, y + 40)
    expect(opened.locator(".map-tip")).to_contain_text(f"#{NAMED}")
    moved = at_places(opened, where)
    opened.locator(".map-over").focus()
    opened.keyboard.press("0")
    opened.mouse.move(5, 5)
    opened.wait_for_timeout(300)
    again = at_places(opened, where)
    assert np.mean(abs(moved - first).sum(-1) > 60) > 0.3
    assert np.mean(abs(again - first).sum(-1) > 60) < 0.05
    opened.keyboard.press("v")
    expect(opened.locator(".map-panel h4")).to_contain_text("In view")


def test_a_lasso_lists_what_it_encloses_and_adds_it(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    where = places(opened, mapped[1])
    x, y = where[NAMED]
    side = 40
    inside = {f for f, (a, b) in where.items() if abs(a - x) < side and abs(b - y) < side}
    opened.click("[data-tool=lasso]")
    opened.mouse.move(x - side, y - side)
    opened.mouse.down()
    for dx, dy in ((side, -side), (side, side), (-side, side), (-side, -side + 6)):
        opened.mouse.move(x + dx, y + dy, steps=6)
    opened.mouse.up()
    expect(opened.locator(".map-panel h4")).to_contain_text("Lasso")
    expect(opened.locator(f".map-row[data-feature='{NAMED}']")).to_contain_text(HOSTILE)
    listed = opened.locator(".map-row").evaluate_all("rows => rows.map(r => r.dataset.feature)")
    assert len(inside ^ set(map(int, listed))) <= 2  # on the line itself
    shot(opened, "map-lasso")
    opened.click(".map-panel >> text=Add all")
    expect(opened.locator(".rack .row")).to_have_count(len(listed))


def test_a_group_too_large_to_list_offers_only_what_is_listed(new_page: NewPage) -> None:
    page = new_page()
    page.add_script_tag(content=script("map/panel.js"))
    page.evaluate("""() => {
      const features = [3, 5].map((feature) => ({ feature, name: `#${feature}`, label: "" }));
      const does = { addAll: (all) => { document.title = all.join(); } };
      for (const count of [2, 5000]) {
        const panel = document.body.appendChild(document.createElement("div"));
        drawPanel(panel, { title: "Lasso", group: true, count, features }, does);
      }
    }""")
    all_of_it, part_of_it = page.locator("button.strong").all()
    expect(all_of_it).to_have_text("Add all")
    expect(part_of_it).to_have_text("Add these 2")
    part_of_it.click()
    assert page.title() == "3,5"


def test_a_text_lights_the_map_up_and_its_list_points_at_it(
    opened: Page, mapped: tuple[str, "Host"]
) -> None:
    from ui.map import lit_by

    lit = lit_by(mapped[1].session, "sae", PROMPT)
    opened.fill("#map-text textarea", PROMPT)
    opened.click("#map-text button")
    first = opened.locator(".map-row").first
    expect(first).to_have_attribute("data-feature", str(lit["list"][0]["feature"]))
    expect(opened.locator("[data-mode=activation]")).to_have_attribute("aria-pressed", "true")
    expect(opened.locator(".map-legend")).to_contain_text("highest activation on the text")
    opened.wait_for_timeout(200)
    shot(opened, "map-lit")
    before = pixels(opened)
    first.hover()
    opened.wait_for_timeout(200)
    x, y = places(opened, mapped[1])[lit["list"][0]["feature"]]
    around = (slice(round(y) - 12, round(y) + 12), slice(round(x) - 12, round(x) + 12))
    assert abs(pixels(opened)[around] - before[around]).sum() > 1000, "no ring around the point"
    opened.mouse.move(x, y)
    expect(first).to_have_class(re.compile("current"))
    first.locator(".map-open").click()
    expect(opened.locator(".explore-card")).to_contain_text(f"#{lit['list'][0]['feature']}")


def test_a_clicked_token_lists_its_features_and_opens_one_in_explore(opened: Page) -> None:
    opened.get_by_role("tab", name="Inspect").click()
    opened.fill("#inspect-text textarea", PROMPT)
    opened.click("#inspect-button")
    opened.locator(".heat").nth(2).click()
    expect(opened.locator("#strongest h4")).to_contain_text("fire at token 2")
    rows = opened.locator("#strongest .found")
    expect(rows.first).to_contain_text("activation rank 1,")
    expect(rows.first).to_contain_text("of tokens")
    opened.click("[data-rank=attribution]")
    expect(rows.first).to_contain_text("attribution rank 1 ")
    shot(opened, "inspect-token")
    feature = rows.first.get_attribute("data-feature")
    rows.first.locator("text=Add").click()
    expect(opened.locator(".rack .row")).to_have_count(1)
    rows.first.locator("text=Explore").click()
    expect(opened.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(opened.locator(".explore-card")).to_contain_text(f"#{feature}")


def test_a_text_of_another_tab_lights_up_the_map_also_before_it_was_ever_open(
    map_tab: Page, mapped: tuple[str, "Host"], watched: None
) -> None:
    from ui.map import lit_by

    page = map_tab
    visit(page, mapped[0])
    page.get_by_role("tab", name="Inspect").click()
    page.click("#show-on-map")
    expect(page.locator(".toast-wrap")).to_contain_text("empty")
    expect(page.get_by_role("tab", name="Inspect")).to_have_attribute("aria-selected", "true")
    page.fill("#inspect-text textarea", PROMPT)
    page.click("#show-on-map")
    lit = lit_by(mapped[1].session, "sae", PROMPT)
    expect(page.locator(".map-panel h4")).to_have_text(lit["title"])
    expect(page.locator("[data-mode=activation]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#map-text textarea")).to_have_value(PROMPT)
    expect(page.locator(".map-over")).to_be_in_viewport()
    expect(page.locator(".map-over")).to_be_focused()
    shot(page, "map-of-inspect")
    page.get_by_role("tab", name="Steer").click()
    texts = generate(page, "the bridge is")
    page.locator(".pane.baseline footer >> text=Show on map").click()
    written = re.compile(re.escape(texts["baseline"].strip()))
    expect(page.locator("#map-text textarea")).to_have_value(written)
    shown = page.locator("#map-text textarea").input_value()
    title = lit_by(mapped[1].session, "sae", shown)["title"]
    expect(page.locator(".map-panel h4")).to_have_text(title)


def test_words_in_the_rack_s_box_are_looked_up_in_the_atlas(opened: Page) -> None:
    opened.fill("#add input, #add textarea", "bridge")
    opened.click("#add button")
    found = opened.locator("#found .found")
    expect(found).to_have_count(1)
    expect(found).to_contain_text(HOSTILE)
    found.locator("text=Add").click()
    expect(opened.locator(".rack .row .label")).to_have_text(HOSTILE)
    expect(opened.locator(".rack .row .about")).to_have_attribute("title", "from: atlas")


def test_a_name_given_on_the_card_is_the_name_on_the_map(opened: Page) -> None:
    opened.fill("#map-text textarea", PROMPT)
    opened.click("#map-text button")
    row = opened.locator(".map-row").first
    feature = row.get_attribute("data-feature")
    row.locator(".map-open").click()
    expect(opened.locator(".explore-card h3")).to_contain_text(f"#{feature}")
    before = opened.locator(".explore-card h3").inner_text()
    for own in ("fog over the sea", ""):
        opened.fill(".explore-card .labels input", own)
        opened.keyboard.press("Enter")
        if own:
            expect(row).to_contain_text(own)
        else:
            expect(row).not_to_contain_text("fog")
    expect(opened.locator(".explore-card h3")).to_have_text(before)


def test_a_phone_in_the_dark_has_the_map_too(
    drawing: Browser, mapped: tuple[str, "Host"], heard: Heard, watched: None
) -> None:
    context = drawing.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True
    )
    page = heard.listen(context).new_page()
    explore(page, mapped[0])
    page.wait_for_timeout(500)
    wide = page.evaluate("document.documentElement.scrollWidth")
    shot(page, "map-phone-dark")
    assert wide <= 390
    box: Any = page.locator(".map-stage").bounding_box()
    ground = pixels(page)[int(max(0, box["y"])) + 6, int(box["x"]) + 6]
    assert ground.sum() < 200, "a light map in a dark page"
    where = places(page, mapped[1])
    page.touchscreen.tap(*where[NAMED])
    expect(page.locator(".explore-card")).to_contain_text("#")
    context.close()


def test_a_missing_map_is_made_on_the_page(map_tab: Page, tmp_path: Path, watched: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steering.atlas.places.user_folder", lambda: tmp_path)
        session = tiny.session(seed=2)
        sae = session.saes["sae"]
        path = tmp_path / f"{sae.fingerprint}.sqlite"
        made.build(path, made.text_file(tmp_path), sae).close()
        with served(lambda: session, tmp_path) as (address, host):
            assert host.wait(60)
            visit(map_tab, address)
            map_tab.get_by_role("tab", name="Explore").click()
            expect(map_tab.locator(".map [role=status]")).to_contain_text("steer atlas map")

            def fail(*_: object) -> None:
                raise AtlasError("Another program is writing it.")

            with pytest.MonkeyPatch.context() as broken:
                broken.setattr("ui.wiring.mapping.make_it", fail)
                map_tab.click("text=Make the map here")
                expect(map_tab.locator(".toast-wrap")).to_contain_text("Another program")
                expect(map_tab.locator("text=Make the map here")).to_be_enabled()
            map_tab.click("text=Make the map here")
            map_tab.wait_for_selector(".map[data-phase=painted]", timeout=60_000)
