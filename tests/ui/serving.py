"""A page served in this process, over a tiny model."""

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui.host import Host


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_it_answers(address: str, seconds: float = 60) -> None:
    """Wait for an address."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.1)


@contextmanager
def served(load: Callable[[], Any], presets: Path, **options: Any) -> Iterator[tuple[str, "Host"]]:
    """The address of a running page, and its host."""
    from ui.server import start

    page, host, address = start(load, presets=presets, port=free_port(), **options)
    try:
        yield address, host
    finally:
        page.close()


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def hooks_on(session: Any) -> int:
    """How many hooks are on the model that decodes."""
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in session.model.hf.modules()
    )
