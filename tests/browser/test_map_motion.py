"""How the map's scripts spare the browser: fewer points in motion, all at rest, no work unasked.

The scripts run in an empty page, without a server.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from ui.assets import script

N = 100_000
CLOCK = """
let time = 0, queue = [];
performance.now = () => time;
const requestAnimationFrame = (run) => queue.push(run);
const frame = (took) => {
  const due = queue;
  time += took;
  queue = [];
  for (const run of due) run(time);
};
"""


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Page]:
    """An empty page."""
    page = browser.new_page()
    yield page
    page.close()


def run(page: Page, parts: tuple[str, ...], body: str, given: Any = None) -> Any:
    """What a function body answers that stands below some of the map's scripts."""
    scripts = script(*(f"map/{part}.js" for part in parts))
    return page.evaluate(f"(given) => {{ {scripts}\n{body} }}", given)


def test_a_slow_frame_has_fewer_points_and_a_fast_one_more(blank: Page) -> None:
    slow, fair, fast = run(
        blank, ("pace",), f"return [60, 24, 10].map((took) => paced(20000, took, {N}));"
    )
    assert slow < fair == 20_000 < fast
    assert run(blank, ("pace",), f"return paced({N}, 10, {N});") == N
    assert 0 < run(blank, ("pace",), f"return paced(8000, 5000, {N});") <= 8000
    assert run(blank, ("pace",), "return paced(100, 5000, 100);") == 100


def test_a_map_in_motion_draws_a_part_and_at_rest_all_once_more(blank: Page) -> None:
    body = f"""{CLOCK}
    const seen = [];
    const pacer = newPacer((moving) => seen.push([moving, pacer.share()]));
    pacer.of({N});
    pacer.still();
    frame(16);
    for (let i = 0; i < 12; i++) {{ pacer.move(); frame(given); }}
    for (let i = 0; i < 30; i++) frame(16);
    return [seen, queue.length];"""
    seen, waiting = run(blank, ("pace",), body, 16)
    assert [moving for moving, _ in seen] == [False] + 12 * [True] + [False]
    assert seen[1][1] < seen[3][1] < seen[12][1] == 1, "a fast machine soon draws all"
    assert waiting == 0, "frames are asked for while nothing moves"


def test_frames_that_take_longer_than_a_rest_do_not_count_as_rest(blank: Page) -> None:
    body = f"""{CLOCK}
    const seen = [];
    const pacer = newPacer((moving) => seen.push([moving, pacer.share() * {N}]));
    pacer.of({N});
    for (let i = 0; i < 12; i++) {{ pacer.move(); frame(800); }}
    return seen;"""
    seen = run(blank, ("pace",), body)
    assert all(moving for moving, _ in seen)
    drawn = [count for _, count in seen]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] < drawn[0] / 2


def test_a_still_moment_between_two_turns_of_the_wheel_is_no_slow_frame(blank: Page) -> None:
    body = f"""{CLOCK}
    const seen = [];
    const pacer = newPacer(() => seen.push(pacer.share()));
    pacer.of({N});
    for (let i = 0; i < 8; i++) {{ pacer.move(); for (let j = 0; j < 6; j++) frame(16); }}
    return seen;"""
    shares = run(blank, ("pace",), body)
    assert shares == sorted(shares)


def test_a_feature_is_found_among_the_points_or_not(blank: Page) -> None:
    body = """
    const points = { n: 4, features: new Uint32Array([2, 5, 9, 70000]) };
    return [2, 5, 9, 70000, 0, 6, 80000].map((feature) => placeOf(points, feature));"""
    assert run(blank, ("points",), body) == [0, 1, 2, 3, -1, -1, -1]


def test_zooming_leaves_what_is_under_the_pointer_there(blank: Page) -> None:
    body = """
    const frame = { view: { x: 0.4, y: 0.6, scale: 300 }, width: 500, height: 400 };
    const before = toMap(frame, 120, 90);
    const after = toMap({ ...frame, view: zoomed(frame, 1.7, 120, 90) }, 120, 90);
    return [...before, ...after];"""
    x, y, nx, ny = run(blank, ("view",), body)
    assert (nx, ny) == pytest.approx((x, y))


def test_a_label_is_asked_for_once_and_of_another_map_not_kept(blank: Page) -> None:
    body = """
    const asked = [];
    let answer = null;
    const labels = newLabels((features) => {
      asked.push(features);
      return new Promise((done) => { answer = done; });
    }, () => {});
    const told = (feature) => answer({ features: [{ feature, name: "its", label: "seen" }] });
    const first = labels.describe([3]);
    told(3);
    await first;
    const again = await labels.describe([3]);
    const late = labels.describe([4]);
    labels.forget();
    told(4);
    return [asked, again[0].label, await late, labels.get(4) ?? null, labels.get(3) ?? null];"""
    scripts = script("map/labels.js")
    told = blank.evaluate(f"async () => {{ {scripts}\n{body} }}")
    assert told == [[[3], [4]], "seen", None, None, None]
