"""Independent parts of the recipe at once: a process and one thread for each.

Two threads of one process wait for each other at every operation; two processes never do. torch is
imported inside functions: this module is there before it, to have it imported elsewhere too.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.context import BaseContext
from threading import Thread
from typing import Any, TypeVar

Made = TypeVar("Made")
_FORKS = sys.platform == "linux"


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
    with ProcessPoolExecutor(processes, _context(make.__module__), initializer=_begin) as pool:
        yield from pool.map(make, *zip(*calls, strict=True))


def processors() -> int:
    """How many of them torch would use, which may be told to take fewer than there are."""
    import torch

    return torch.get_num_threads()


def begin_import(module: str) -> None:
    """Import a module in the process that `at_once` forks, while this one goes on.

    SAELens alone takes ten seconds to import.
    """
    if _FORKS:
        from multiprocessing import forkserver  # not on every system

        _context(module)
        forkserver.ensure_running()


def _context(module: str) -> BaseContext:
    """Processes that share one import, of the first module asked for, where forking is safe.

    Never forked from here: a copy of a process that has used torch's threads hangs in its first
    product. Elsewhere than on Linux, importing may use them already.
    """
    if not _FORKS:
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def _begin() -> None:
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()  # several would write over each other, and over the caller's
    # Ctrl-C reaches every process of a terminal: these end at once, and the first one says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process that was killed tells its workers nothing, and they would work on for an hour."""
    parent = parent_process()
    assert parent is not None, "a pool's worker has one"
    parent.join()
    os._exit(1)
