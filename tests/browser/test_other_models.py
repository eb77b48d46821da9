"""The page over tiny models: hostile words, a model that fails, another SAE, several SAEs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tests import tiny
from tests.browser.conftest import NewPage, OpenPage, add, finished, generate, shot, visit
from tests.ui.pages import PROMPT
from tests.ui.serving import hooks_on, served, until

if TYPE_CHECKING:
    from steering.session import Session
    from ui.host import Host

Serve = Callable[[Callable[[], Any], Path], tuple[str, "Host"]]

HOSTILE = "<img/src=x/onerror=window.hit=1>"
SPOKEN = "<img src=x onerror=window.hit=1>![x](http://elsewhere.test/x.png)"


def hostile_session() -> Any:
    """A tiny model whose words are markup, with a label that is."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from steering.features import FeatureFacts
    from steering.models import LanguageModel
    from steering.session import Session

    plain = tiny.tokenizer(chat=True)
    core = json.loads(plain.backend_tokenizer.to_str())
    vocab = core["model"]["vocab"]
    core["model"]["vocab"] = {
        (HOSTILE + word if word in tiny.WORDS else word): at for word, at in vocab.items()
    }
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(core)),
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<turn>"],
    )
    tokenizer.chat_template = plain.chat_template
    model = LanguageModel(SPOKEN, tiny.hf_model(), tokenizer)
    sae = tiny.sae()
    sae.__dict__["facts"] = {3: FeatureFacts(max_act=2.0, label=SPOKEN)}
    sae.name = SPOKEN
    return Session(model, {"sae": sae})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, "Host"]]:
    """A running page, and its host; what it has loaded is another's with every test."""
    with served(ordinary_session, tmp_path_factory.mktemp("none")) as (address, host):
        assert host.wait(60)
        yield address, host


@pytest.fixture
def serve(server: tuple[str, "Host"]) -> Serve:
    """Has the running page load something, with a folder of presets."""
    address, host = server

    def load(session: Callable[[], Any], presets: Path) -> tuple[str, "Host"]:
        host.presets = presets
        host.start(session)
        assert host.wait(60) and host.problem is None
        return address, host

    return load


def ordinary_session() -> "Session":
    """A tiny model for chats with one SAE."""
    return tiny.session(chat=True)


def test_markup_in_words_labels_names_and_links_stays_text(
    open_page: OpenPage, serve: Serve, tmp_path: Path
) -> None:
    from steering.presets import Preset, load_preset, save_preset

    presets = tmp_path / "presets"
    made = load_preset("golden-gate").model_dump()
    hostile = {**made, "name": "hostile", "title": SPOKEN, "description": SPOKEN}
    save_preset(Preset.model_validate(hostile), presets)
    (presets / "broken.json").write_text(json.dumps({"schema_version": SPOKEN}))
    address, _ = serve(hostile_session, presets)
    page = open_page(f"{address}?s={SPOKEN}")
    expect(page.locator(".toast-wrap")).to_contain_text("link")
    expect(page.locator(".gallery")).to_contain_text(SPOKEN)
    expect(page.locator(".badge")).to_contain_text(SPOKEN)
    page.click(".gallery .face[data-name=hostile]")
    expect(page.locator(".notice")).to_contain_text(SPOKEN)
    add(page, "3=1.5")
    expect(page.locator(".rack .row")).to_contain_text(SPOKEN)
    add(page, "img")
    expect(page.locator("#found .found").first).to_contain_text(SPOKEN)
    add(page, SPOKEN)
    page.click(".extras .add[data-kind=system]")
    page.fill(".extras .wide", SPOKEN)
    texts = generate(page, f"{SPOKEN} the bridge")
    assert HOSTILE in texts["steered"]
    expect(page.locator(".pane.steered .summary")).to_contain_text(SPOKEN)
    page.hover(".pane.steered .tok >> nth=2")
    expect(page.locator("#panes-tip")).to_be_visible()
    page.click(".pane.steered >> text=Inspect")
    page.wait_for_selector(".heatmap .heat")
    page.locator(".heatmap .heat").nth(2).click()
    page.wait_for_timeout(300)
    page.click("button[role=tab]:has-text('Export')")
    page.wait_for_timeout(500)
    assert page.evaluate("window.hit") is None
    assert page.locator("img[src=x], img[src*='elsewhere']").count() == 0


def test_a_model_that_loads_is_waited_for_and_one_that_fails_says_why(
    tab: Page, watched: None, tmp_path: Path
) -> None:
    from steering.errors import LoadError

    go_on = threading.Event()

    def load() -> Any:
        go_on.wait(60)
        raise LoadError("There is no folder 'nowhere'. Give a Hugging Face model folder.")

    with served(load, tmp_path) as (address, _):
        page = tab
        page.goto(address)
        expect(page.locator(".notice")).to_contain_text("Loading the model")
        expect(page.locator(".spinner")).to_be_visible()
        shot(page, "loading")
        go_on.set()
        expect(page.locator(".notice.failed")).to_contain_text("There is no folder 'nowhere'")
        page.fill("#prompt textarea", "Keep this")
        page.click("#generate")
        expect(page.locator(".toast-wrap")).to_contain_text("No model is loaded")
        expect(page.locator("#prompt textarea")).to_have_value("Keep this")


@pytest.fixture
def other_preset(tmp_path: Path) -> Path:
    """A presets folder with a preset of a model and an SAE in two other folders."""
    from steering.presets import save_preset
    from steering.presets.use import About, make_preset
    from steering.session import Session

    model = tiny.tiny_model_folder(tmp_path / "model", chat=True)
    sae = tiny.tiny_sae_folder(tmp_path / "sae", seed=9)
    session = Session.load(model, sae)
    edit = tiny.intervention(7, strength=0.6, unit="norm")
    preset = make_preset(session, [edit], About("other", "Other model"), prompts=["the bridge"])
    save_preset(preset, tmp_path / "presets")
    return tmp_path / "presets"


def open_strongest(page: Page) -> str:
    """Open the card of the feature that fires most on a token; its number."""
    page.get_by_role("tab", name="Inspect").click()
    page.fill("#inspect-text textarea", PROMPT)
    page.click("#inspect-button")
    page.locator(".heatmap .heat").nth(2).click()
    first = page.locator("#strongest .found").first
    feature = first.get_attribute("data-feature") or ""
    first.locator("text=Explore").click()
    expect(page.locator(".explore-card h3")).to_contain_text(f"#{feature}")
    return feature


def test_a_preset_of_another_sae_offers_to_load_it(
    open_page: OpenPage, serve: Serve, other_preset: Path
) -> None:
    address, _ = serve(ordinary_session, other_preset)
    page = open_page(address)
    page.fill("#prompt textarea", "Keep this")
    page.click(".gallery .face[data-name=other]")
    expect(page.locator(".notice.offer")).to_contain_text("Load that model and SAE instead?")
    page.click(".notice button:text-is('No')")
    expect(page.locator(".notice.none")).to_have_count(1)
    expect(page.locator("#prompt textarea")).to_have_value("Keep this")
    page.click(".gallery .face[data-name=other]")
    open_strongest(page)
    page.click(".notice button:text-is('Load it')")
    expect(page.locator(".rack .row")).to_contain_text("#7")
    # Nothing of the model before is left in the other tabs, and the same number is another feature.
    expect(page.locator(".explore-card h3")).to_have_count(0)
    expect(page.locator(".heatmap .heat")).to_have_count(0)
    expect(page.locator("#strongest .found")).to_have_count(0)
    page.fill("#explore-words textarea, #explore-words input", PROMPT)
    page.locator("#explore-way label", has_text="A text that should fire it").click()
    page.click("#explore-words button")
    expect(page.locator(".explore-found tr").nth(1)).to_be_visible()
    page.get_by_role("tab", name="Steer").click()
    expect(page.locator(".badge")).to_contain_text("/model")
    texts = generate(page)
    assert texts["baseline"] != texts["steered"]


def test_a_page_of_the_model_before_is_told_so(
    open_page: OpenPage, serve: Serve, other_preset: Path
) -> None:
    address, host = serve(ordinary_session, other_preset)
    page = open_page(address)
    add(page, "3=0.6norm")
    page.wait_for_selector(".rack .row")
    open_strongest(page)
    page.get_by_role("tab", name="Steer").click()
    from steering.presets import load_preset
    from ui.shelf import loader_of

    host.start(loader_of(load_preset("other", other_preset)))
    assert host.wait(60)
    page.fill("#prompt textarea", "the bridge")
    page.click("#generate")
    expect(page.locator(".toast-wrap")).to_contain_text("another SAE")
    page.get_by_role("tab", name="Explore").click()
    page.fill(".explore-card .labels input", "a name for another feature")
    page.keyboard.press("Enter")
    expect(page.locator(".toast-wrap")).to_contain_text("was loaded since")
    assert host.session.atlas() is None


def test_with_several_saes_each_row_names_its_own(
    open_page: OpenPage, serve: Serve, tmp_path: Path
) -> None:
    def load() -> Any:
        from steering.session import Session

        late = tiny.sae(hook_name="blocks.2.hook_resid_post", seed=4)
        return Session(tiny.session(chat=True).model, {"early": tiny.sae(), "late": late})

    address, _ = serve(load, tmp_path)
    page = open_page(address)
    add(page, "early/3=0.5norm")
    expect(page.locator(".rack .row")).to_have_count(1)
    add(page, "late/3=0.5norm")
    expect(page.locator(".rack .row")).to_have_count(2)
    add(page, "3=0.5norm")
    expect(page.locator(".rack .row").nth(0)).to_contain_text("early/#3")
    expect(page.locator(".rack .row").nth(1)).to_contain_text("late/#3")
    expect(page.locator(".toast-wrap")).to_contain_text("Several SAEs are loaded")
    expect(page.locator(".rack .row")).to_have_count(2)
    assert generate(page, "the bridge")["steered"]


def test_an_edit_that_moves_nothing_is_a_red_banner(
    open_page: OpenPage, serve: Serve, tmp_path: Path
) -> None:
    address, _ = serve(ordinary_session, tmp_path)
    page = open_page(address)
    add(page, "3:add=0.0000000001raw")
    page.wait_for_selector(".rack .row")
    texts = generate(page, "the bridge")
    expect(page.locator(".banner.alarm")).to_contain_text("changed nothing")
    assert texts["baseline"] == texts["steered"] != ""
    shot(page, "alarm")


@pytest.fixture
def slow_tokens(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Every token takes a while; returns how many were made."""
    from steering.generation import Decoder

    step, made = Decoder.step, [0]

    def slow(self: Any, state: Any) -> Any:
        time.sleep(0.08)
        made[0] += 1
        return step(self, state)

    monkeypatch.setattr(Decoder, "step", slow)
    return lambda: made[0]


def test_closing_the_tab_ends_the_decode(
    new_page: NewPage, serve: Serve, tmp_path: Path, slow_tokens: Callable[[], int]
) -> None:
    address, host = serve(ordinary_session, tmp_path)
    page = new_page()
    visit(page, address)
    page.fill("#prompt textarea", "the bridge")
    page.click("#generate")
    page.wait_for_selector("#panes .tok")
    page.close()
    until(lambda: host.line.length == 0)
    ended_at = slow_tokens()
    assert ended_at < 45
    assert hooks_on(host.session) == 0
    time.sleep(0.4)
    assert slow_tokens() == ended_at


@pytest.fixture
def held(
    monkeypatch: pytest.MonkeyPatch, slow_tokens: Callable[[], int]
) -> Iterator[threading.Event]:
    """No decode gets far until this is set."""
    from steering.generation import Decoder

    step, go_on = Decoder.step, threading.Event()

    def hold(self: Any, state: Any) -> Any:
        if slow_tokens() > 5:
            go_on.wait(120)
        return step(self, state)

    monkeypatch.setattr(Decoder, "step", hold)
    yield go_on
    go_on.set()


def test_who_waits_sees_their_place_and_can_leave(
    tab: Page, new_page: NewPage, serve: Serve, tmp_path: Path, held: threading.Event
) -> None:
    address, host = serve(ordinary_session, tmp_path)
    # Tabs of one browser would share its six connections, and two are held open by each.
    first, second, third = tab, new_page(), new_page()
    for page in (first, second, third):
        visit(page, address)
        page.fill("#prompt textarea", "the bridge")
    first.click("#generate")
    first.wait_for_selector("#panes .tok")
    second.click("#generate")
    expect(second.locator("#panes .status")).to_contain_text("you are next")
    third.click("#generate")
    expect(third.locator("#panes .status")).to_contain_text("2 before you")
    third.click("#stop")
    expect(third.locator("#panes .status")).to_contain_text("Stopped")
    first.click("#stop")
    held.set()
    second.wait_for_selector("#panes .tok")
    second.keyboard.press("Escape")
    assert finished(second)["baseline"]
    assert host.line.length == 0
