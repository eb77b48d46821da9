"""A page's host and state on a tiny model: what a browser would send, without one.

Everything is imported inside the functions, as in `tests.tiny`.
"""

from typing import TYPE_CHECKING, Any

from tests import tiny

if TYPE_CHECKING:
    from steering.interventions import Intervention
    from steering.records import Comparison
    from steering.session import Session
    from ui.host import Host
    from ui.state import PageState
    from ui.tabs.steer import Frame

PROMPT = "the bridge is red"
STRONG: dict[str, Any] = {"strength": 0.6, "unit": "norm"}


def host(session: "Session | None" = None) -> "Host":
    """A host that has loaded."""
    from ui.host import Host

    ready = session or tiny.session(chat=True)
    made = Host(lambda: ready)
    made.start()
    assert made.wait(10)
    return made


def state(host: "Host", *features: int, **fields: Any) -> "PageState":
    """A page's state with some features steered strongly, and short texts."""
    from steering.interventions import Sampling
    from ui.state import PageState
    from ui.tabs.steer import marks

    edits = tuple(tiny.intervention(feature, **STRONG) for feature in features)
    how = {"prompt": PROMPT, "sampling": Sampling(max_new_tokens=6, stop_at_eos=False)}
    made = {"model": host.session.model.name, "saes": marks(host), "interventions": edits}
    return PageState(**{**made, **how, **fields})


def plain_direction() -> "Intervention":
    """An edit along a direction from a file."""
    from steering.interventions import Direction

    place = Direction(path="/x/v.safetensors", tensor="v", hook_name="blocks.1.hook_resid_post")
    return tiny.intervention(None, direction=place, edit="add", strength=1.0, unit="raw")


def last(host: "Host", state: "PageState") -> "Frame":
    """The last frame of a decode."""
    from ui.tabs.steer import generate

    *_, frame = generate(host, state, "somebody")
    return frame


def record(frame: "Frame") -> "Comparison":
    """The record that comes with a last frame."""
    assert frame.comparison is not None
    return frame.comparison


def texts(frame: "Frame") -> dict[str, str]:
    """What every pane wrote, by its name."""
    return {pane["name"]: pane["text"] for pane in frame.view["panes"]}


def turns(*said: tuple[str, dict[str, str]]) -> list[dict[str, Any]]:
    """Turns of a chat as plain data."""
    return [{"user": user, "replies": replies} for user, replies in said]
