"""What a person does on the page, on the bundled model."""

import base64
import io
import json
import re
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import (
    NewPage,
    OpenPage,
    add,
    finished,
    generate,
    pick,
    shot,
    toasts,
    visit,
)
from tests.bundled import FEATURE, RAW, READER, STRENGTH, edits

NEAREST = 10
ENOUGH = 3
"""Of the nearest, since many features name no place; the model card asks more of those that do."""


def rack_number(page: Page, row: int = 0) -> str:
    return page.locator(".rack .row").nth(row).locator(".number").input_value()


def test_a_first_visit_ends_in_two_different_texts(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    shot(page, "first-visit")
    expect(page.locator(".badge")).to_contain_text("steering-playground-demo")
    pick(page, "golden-gate")
    expect(page.locator("#prompt textarea")).to_have_value("Who are you?")
    texts = generate(page)
    shot(page, "golden-gate")
    assert "the Golden Gate Bridge" in texts["steered"]
    assert "Golden Gate" not in texts["baseline"]
    steered = page.locator(".pane.steered")
    expect(steered.locator(".liveness")).to_contain_text(re.compile(r"hook fired \d+ times, \d+"))
    expect(steered.locator(".summary")).to_contain_text("Boost")
    expect(steered.locator(".tok.parts")).to_have_count(1)
    assert steered.locator(".tok.steered").count() > 5
    assert page.locator(".pane.baseline .tok.steered").count() == 0
    expect(page.locator(".pane.baseline .rate")).to_contain_text("tok/s")


def test_moving_the_slider_changes_the_text(page: Page) -> None:
    pick(page, "golden-gate")
    before = generate(page)
    slider = page.locator(".rack .slider")
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    # From a strength between two steps of the slider the first press lands on one of them.
    assert float(rack_number(page)) == pytest.approx(STRENGTH - 1, abs=0.05)
    expect(page.locator(".panes-root.outdated")).to_have_count(1)
    after = generate(page)  # an empty prompt writes the last turn again
    assert after["baseline"] == before["baseline"]
    assert after["steered"] != before["steered"]
    expect(page.locator(".panes-root.outdated")).to_have_count(0)


def test_an_add_slider_at_zero_writes_the_same_text(page: Page) -> None:
    add(page, f"{FEATURE}:add=1.5")
    page.wait_for_selector(".rack .row")
    moved = generate(page, "Who are you?")
    assert moved["baseline"] != moved["steered"]
    page.locator(".rack .slider").dblclick()
    assert rack_number(page) == "0"
    expect(page.locator(".rack .note")).to_contain_text("neutral")
    same = generate(page)
    assert same["baseline"] == same["steered"] != ""


def test_the_whole_rack_can_be_neutral_off_and_cleared(page: Page) -> None:
    pick(page, "scam")
    page.click("text=All neutral")
    assert page.locator(".rack .row.off").count() == len(edits("scam"))
    page.uncheck("#rack-on")
    expect(page.locator(".rack .switch")).to_contain_text("off (values kept)")
    texts = generate(page)
    assert texts["baseline"] == texts["steered"]
    page.click(".rack >> text=Clear")
    assert page.locator(".rack .row").count() == 0


def test_features_are_added_by_number_and_by_words(page: Page) -> None:
    add(page, "12=2.5")
    expect(page.locator(".rack .row")).to_have_count(1)
    assert rack_number(page) == "2.5"
    add(page, "golden gate")
    page.locator("#found .found button:text-is('Add')").first.click()
    expect(page.locator(".rack .row")).to_have_count(2)
    expect(page.locator(".rack .row").nth(1)).to_contain_text("Golden Gate")


def test_a_unit_converts_the_shown_number_and_back(page: Page) -> None:
    add(page, f"{FEATURE}={STRENGTH}")
    page.wait_for_selector(".rack .row")
    page.select_option(".rack .unit", "raw")
    expect(page.locator(".rack .number")).to_have_value(f"{RAW:g}")
    page.select_option(".rack .unit", "norm")
    expect(page.locator(".rack .number")).not_to_have_value(f"{RAW:g}")
    page.select_option(".rack .unit", "max_act")
    expect(page.locator(".rack .number")).to_have_value(f"{STRENGTH:g}")


def test_a_row_says_that_a_clamp_at_zero_is_an_ablation(page: Page) -> None:
    add(page, f"{FEATURE}=0")
    expect(page.locator(".rack .note")).to_contain_text("ablation")
    page.select_option(".rack .edit", "scale")
    expect(page.locator(".rack .number")).to_have_value("1")
    page.select_option(".rack .edit", "ablate")
    assert page.locator(".rack .slider").count() == 0
    page.select_option(".rack .edit", "clamp")
    expect(page.locator(".rack .number")).to_have_value("0")


BAD_FEATURES = {
    "99999": "features 0 to",
    f"{FEATURE}=abc": "Write a number",
    "no such words": "Try other words",
    "https://www.neuronpedia.org/gpt2-small/8-res-jb/3": "gpt2-small/8-res-jb",
}


def test_a_bad_feature_is_a_toast_and_the_rack_stays(page: Page) -> None:
    pick(page, "golden-gate")
    for typed, said in BAD_FEATURES.items():
        add(page, typed)
        expect(page.locator(".toast-wrap")).to_contain_text(said)
        expect(page.locator(".rack .row")).to_have_count(1)
        expect(page.locator("#add input, #add textarea")).to_have_value(typed)


def test_a_strength_that_is_no_number_is_a_toast_and_the_old_one_stays(page: Page) -> None:
    pick(page, "golden-gate")
    page.fill(".rack .number", "lots")
    page.keyboard.press("Tab")
    assert "not a number" in toasts(page)
    assert rack_number(page) == f"{STRENGTH:g}"


def test_an_empty_prompt_and_a_long_one_are_toasts(page: Page) -> None:
    page.click("#generate")
    assert "prompt is empty" in toasts(page)
    page.fill("#prompt textarea", "the bridge " * 600)
    page.click("#generate")
    page.wait_for_selector("text=/Shorten it by at least \\d+ tokens/")
    expect(page.locator("#prompt textarea")).to_have_value("the bridge " * 600)


def test_a_preset_is_saved_and_is_there_after_a_reload(
    page: Page, address: str, presets_folder: Path
) -> None:
    pick(page, "golden-gate")
    generate(page)
    page.click("#save-as")
    page.fill("#title textarea, #title input", "Mine alone")
    page.fill("#description textarea, #description input", "What I found.")
    page.click("#write")
    page.wait_for_selector(".gallery .face[data-name=mine-alone]")
    saved = json.loads((presets_folder / "mine-alone.json").read_text())
    assert "the Golden Gate Bridge" in saved["samples"][0]["steered"]
    visit(page, address)
    expect(page.locator(".gallery .face[data-name=mine-alone] q")).to_contain_text("Golden Gate")
    pick(page, "mine-alone")
    page.fill(".rack .number", "0.5")
    page.keyboard.press("Tab")
    page.click("#save")
    page.wait_for_selector("text=Saved as")
    assert (
        json.loads((presets_folder / "mine-alone.json").read_text())["interventions"][0][
            "intervention"
        ]["strength"]
        == 0.5
    )
    page.click("button[aria-label='Delete preset Mine alone']")
    shot(page, "delete")
    page.click(".gallery >> text=Keep")
    assert (presets_folder / "mine-alone.json").exists()
    page.click("button[aria-label='Delete preset Mine alone']")
    page.click(".gallery .alarm >> text=Delete")
    expect(page.locator(".gallery .face[data-name=mine-alone]")).to_have_count(0)
    assert not (presets_folder / "mine-alone.json").exists()


def test_a_preset_goes_out_as_a_file_and_comes_in_again(page: Page, tmp_path: Path) -> None:
    pick(page, "flattery")
    with page.expect_download() as download:
        page.click("#download")
    file = tmp_path / "taken-along.json"
    download.value.save_as(file)
    data = json.loads(file.read_text())
    data["name"] = "taken-along"
    file.write_text(json.dumps(data))
    page.click(".rack >> text=Clear")
    page.set_input_files("input[type=file]", file)
    page.wait_for_selector(".gallery .face[data-name=taken-along]")
    (edit,) = edits("flattery")
    expect(page.locator(".rack .row")).to_have_count(1)
    assert rack_number(page) == f"{edit['intervention']['strength']:g}"


BAD_FILES = {
    "cut": ("{", "not valid JSON"),
    "newer": ('{"schema_version": 99}', "Update the program"),
    "incomplete": ('{"schema_version": 1, "name": "x"}', "title is missing"),
    "large": ("x" * 1_010_000, "larger than 1 MB"),
    "huge": ("x" * 3_000_000, "maximum allowed size"),
}


def test_a_bad_preset_file_is_a_toast_and_the_rack_stays(page: Page, tmp_path: Path) -> None:
    pick(page, "golden-gate")
    for name, (content, said) in BAD_FILES.items():
        file = tmp_path / f"{name}.json"
        file.write_text(content)
        page.set_input_files("input[type=file]", file)
        expect(page.locator(".toast-wrap")).to_contain_text(said)
        expect(page.locator(".rack .row")).to_have_count(1)


def test_a_link_opened_by_someone_else_gives_the_same_panes(page: Page, new_page: NewPage) -> None:
    pick(page, "golden-gate")
    page.click(".extras .add[data-kind=random]")
    mine = generate(page)
    page.wait_for_function("location.search.startsWith('?s=')")
    other = new_page()
    visit(other, page.url)
    theirs = finished(other)
    assert theirs == mine
    assert set(mine) == {"baseline", "steered", "Random direction 0"}
    assert len(page.url) < 2000


def packed(data: object) -> str:
    text = zlib.compress(json.dumps(data).encode())
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


BAD_LINKS = {
    "abc": "cut or broken",
    packed({"version": 99}): "Update the program",
    packed({"version": 1, "model": "other", "saes": {"sae": "0123"}}): "with another SAE",
    "%3Cimg%20src=x%20onerror=alert(1)%3E": "cut or broken",
}


def test_a_bad_link_is_a_toast_and_a_usable_page(page: Page, address: str) -> None:
    for link, said in BAD_LINKS.items():
        visit(page, f"{address}?s={link}")
        expect(page.locator(".toast-wrap")).to_contain_text(said)
    pick(page, "golden-gate")
    assert "Golden Gate" in generate(page)["steered"]


def test_a_chat_goes_on_with_each_side_remembering_its_own(page: Page) -> None:
    pick(page, "golden-gate")
    generate(page, "Who are you?")
    generate(page, "Where do you live?")
    users = page.locator(".pane.steered .user span")
    expect(users).to_have_text(["Who are you?", "Where do you live?"])
    assert "Golden Gate" in page.locator(".pane.steered .reply").inner_text()
    assert "Golden Gate" not in page.locator(".pane.baseline .reply").inner_text()
    shot(page, "chat")
    page.click(".pane.steered button[aria-label='Edit turn 2']")
    expect(page.locator("#prompt textarea")).to_have_value("Where do you live?")
    expect(page.locator(".pane.steered .user")).to_have_count(1)
    page.click(".pane.steered button[aria-label='Regenerate turn 1']")
    expect(page.locator(".pane.steered .user")).to_have_count(1)
    assert "Golden Gate" in finished(page)["steered"]


def test_a_token_tells_both_sides_when_pointed_at_and_by_keyboard(page: Page) -> None:
    pick(page, "golden-gate")
    generate(page)
    page.hover(".pane.steered .tok.parts")
    tip = page.locator("#panes-tip")
    expect(tip).to_contain_text("Unsteered would say")
    expect(tip).to_contain_text(re.compile(r"unsteered .*% · steered .*%"))
    shot(page, "token")
    page.mouse.move(5, 5)
    page.focus(".pane.baseline .text")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pane.baseline .tok.current")).to_have_attribute("data-at", "1")
    expect(tip).to_be_visible()


def test_extra_panes_show_other_strengths_a_control_and_words(page: Page) -> None:
    pick(page, "golden-gate")
    for kind in ("strength", "random", "system"):
        page.click(f".extras .add[data-kind={kind}]")
    texts = generate(page)
    shot(page, "panes")
    assert list(texts) == [
        "baseline",
        "steered",
        "Steered × 2",
        "Random direction 0",
        "Asked in words: Talk about the Golden Gate Bridge in every answer.",
    ]
    assert "Golden Gate" not in texts["Random direction 0"]


def test_stop_ends_the_texts_early(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.click("text=How to write")
    page.fill("label:has-text('New tokens') input", "450")
    page.uncheck("text=Stop at the end token")
    page.fill("#prompt textarea", "Tell me about the bridge.")
    page.click("#generate")
    page.wait_for_selector("#panes .tok")
    page.keyboard.press("Escape")
    texts = finished(page)
    expect(page.locator(".pane.baseline .rate")).to_contain_text("stopped")
    assert 0 < page.locator(".pane.baseline .tok").count() < 450
    assert texts["baseline"]


def test_a_picked_preset_sets_how_to_write(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    page.click("text=How to write")
    tokens = page.locator("label:has-text('New tokens') input")
    expect(tokens).not_to_have_value("40")
    pick(page, "golden-gate")
    expect(tokens).to_have_value("40")


def test_where_and_when_is_written_into_every_row(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    pick(page, "scam")
    page.click("text=Where and when to steer")
    page.click("label:has-text('generated')")
    last = page.locator(".rack .row").nth(len(edits("scam")) - 1)
    expect(last).to_contain_text("generated tokens only")
    generate(page)
    page.click(".pane.steered details.prompt summary")
    assert page.locator(".pane.steered details.prompt span.steered").count() == 1


def test_blind_panes_hide_who_wrote_what_until_all_are_rated(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    pick(page, "golden-gate")
    page.check("#blind input")
    generate(page)
    expect(page.locator(".pane h3")).to_have_text(["Text A", "Text B"])
    assert page.locator(".pane .liveness, .pane .summary, .tok.steered, .pane meter").count() == 0
    html = page.locator("#panes").inner_html()
    assert "teered" not in html
    page.locator(".pane").nth(0).locator(".star").nth(4).click()
    expect(page.locator(".pane h3")).to_have_text(["Text A", "Text B"])
    page.locator(".pane").nth(1).locator(".star").nth(1).click()
    assert sorted(page.locator(".pane h3").all_inner_texts()) == ["Steered", "Unsteered"]
    expect(page.locator(".tally")).to_contain_text("(1)")


def test_the_page_fits_a_phone_and_opens_with_the_texts_in_sight(
    new_page: NewPage, address: str
) -> None:
    phone = new_page(390, 844, has_touch=True, is_mobile=True)
    visit(phone, address)
    phone.wait_for_timeout(600)
    expect(phone.locator("#generate")).to_be_in_viewport()
    generate(phone, "Who are you?")
    shot(phone, "phone")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_fits_a_tablet(open_page: OpenPage, address: str) -> None:
    tablet = open_page(address, 820, 1180)
    pick(tablet, "golden-gate")
    generate(tablet)
    shot(tablet, "tablet")
    assert tablet.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_is_readable_in_the_dark(open_page: OpenPage, address: str) -> None:
    dark = open_page(address, color_scheme="dark")
    pick(dark, "golden-gate")
    generate(dark)
    shot(dark, "dark")
    for part in (".pane.steered .written", ".rack .label", ".gallery .about", ".liveness"):
        assert contrast(dark, part) > 4.5, part


def contrast(page: Page, selector: str) -> float:
    """WCAG contrast of a text against the first solid background behind it."""
    return page.locator(selector).first.evaluate(
        """node => {
        const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255;
            return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        let behind = node, back;
        do { back = parse(getComputedStyle(behind).backgroundColor);
            behind = behind.parentElement; }
        while (behind && back.length === 4 && back[3] < 0.5);
        const front = parse(getComputedStyle(node).color);
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    }"""
    )


def test_the_keyboard_alone_goes_from_prompt_to_texts(page: Page) -> None:
    pick(page, "golden-gate")
    page.focus("#prompt textarea")
    page.keyboard.press("Control+a")
    page.keyboard.type("Where do you live?")
    page.keyboard.press("Control+Enter")
    assert "San Francisco" in finished(page)["steered"]


def test_every_control_has_a_name_for_screen_readers(page: Page) -> None:
    pick(page, "golden-gate")
    page.click(".extras .add[data-kind=strength]")
    generate(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea, meter')]
        .filter((node) => node.offsetParent !== null && node.type !== 'file')
        .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.title
            || node.getAttribute('aria-labelledby') || node.closest('label')?.textContent.trim()
            || (node.id && document.querySelector(`label[for="${CSS.escape(node.id)}"]`))))
        .map((node) => node.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_a_slider_moves_without_a_word_to_the_server(page: Page) -> None:
    pick(page, "golden-gate")
    page.wait_for_timeout(300)
    asked: list[str] = []

    def hear(request: Request) -> None:
        asked.append(request.url)

    page.on("request", hear)
    page.locator(".rack .slider").focus()
    number = page.locator(".rack .number")
    before = number.input_value()
    began = time.perf_counter()
    page.keyboard.press("ArrowRight")
    expect(number).not_to_have_value(before)
    assert time.perf_counter() - began < 5
    page.wait_for_timeout(300)
    page.remove_listener("request", hear)
    assert asked == []


def test_a_text_sent_to_inspect_lights_up_and_a_token_gives_features(page: Page) -> None:
    pick(page, "golden-gate")
    generate(page)
    add(page, str(READER))
    expect(page.locator(".rack .row")).to_have_count(2)
    page.click(".pane.steered >> text=Inspect")
    page.click(f".heatmap .chip:has-text('#{READER}')")
    name = page.locator(".heatmap .heat", has_text="the Golden Gate Bridge")
    assert heat(name) > 20
    assert heat(page.locator(".heatmap .heat").nth(1)) == 0
    name.click()
    page.wait_for_selector("#strongest .found")
    shot(page, "inspect")
    before = page.locator(".rack .row").count()
    page.locator("#strongest .found button:text-is('Add')").first.click()
    expect(page.locator(".rack .row")).to_have_count(before + 1)


def heat(token: Locator) -> float:
    """How much of the warm colour a token has, in percent."""
    (found,) = re.findall(r"var\(--warm\) ([\d.]+)%", token.get_attribute("style") or "")
    return float(found)


def open_bridge(page: Page) -> None:
    """Open the card of the preset's feature, by way of its label."""
    pick(page, "golden-gate")
    label = page.locator(".rack .row .label").first.inner_text()
    page.get_by_role("tab", name="Explore").click()
    page.fill("#explore-words textarea, #explore-words input", label)
    page.click("#explore-words button")
    page.locator(f".explore-found tr[data-feature='{FEATURE}'] .walk").click()
    expect(page.locator(".explore-card h3")).to_contain_text(f"#{FEATURE}")


def names_one_in(label: str, *regions: str) -> bool:
    """Whether a label names one of some regions, or anything there but the bridge."""
    from steering.demo.concepts import BRIDGE, find

    named = [{*each.path, each.name} for _, _, each in find(label) if each.name != BRIDGE]
    return any(not way.isdisjoint(regions) for way in named)


def test_near_the_bridge_lie_its_city_and_its_state_and_further_out_sights_elsewhere(
    page: Page,
) -> None:
    from steering.demo.concepts import BRIDGE, by_name

    open_bridge(page)
    card = page.locator(".explore-card")
    card.get_by_label("Radius, as cosine distance").fill("1")
    labels = card.locator(".ring .walk").all_inner_texts()
    assert len(labels[:NEAREST]) == NEAREST
    world, *_, state, city = by_name()[BRIDGE].path
    near = [at for at, label in enumerate(labels) if names_one_in(label, city, state)]
    assert sum(at < NEAREST for at in near) >= ENOUGH, labels
    placed = [at for at, label in enumerate(labels) if names_one_in(label, world)]
    far = sorted({*placed} - {*near})
    assert len(far) >= ENOUGH, labels
    assert np.mean(far) > np.mean(near), labels
    expect(card.get_by_role("region", name="Fires together with")).to_be_visible()
    page.wait_for_selector(".map[data-phase=painted]")
    page.locator(".map-stage").scroll_into_view_if_needed()
    seen = page.locator(".map-stage").screenshot()
    colours = np.asarray(Image.open(io.BytesIO(seen)).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 100, "clusters have a colour each"
    shot(page, "neighbourhood")
