"""Independent parts of the recipe at once: a process and one thread for each.

Two threads of one process wait for each other at every operation; two processes never do.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

Made = TypeVar("Made")


def at_once(
    processes: int, make: Callable[..., Made], calls: Sequence[tuple[Any, ...]]
) -> Iterator[Made]:
    """What each call returns, in their order.

    Args:
        processes: How many at most; with one, the calls run here, one after another.
        make: Importable by name.
        calls: The arguments of each, which have to be picklable.
    """
    if processes == 1:
        yield from (make(*call) for call in calls)
        return
    # Spawned: a forked copy of a process that has used torch's threads hangs in its first product.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin) as pool:
        yield from pool.map(make, *zip(*calls, strict=True))


def processors() -> int:
    """How many of them torch would use, which may be told to take fewer than there are."""
    return torch.get_num_threads()


def _begin() -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal: these end at once, and the first one says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
