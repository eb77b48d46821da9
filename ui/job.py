"""Long work in a thread of its own: it shows how far it is, and ends when it is told to."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from steering.errors import SteeringError

LOOK_AGAIN = 0.25
"""Seconds between two pictures of the progress."""

Tell = Callable[[Any], None]
"""Takes a picture of the progress; raises `JobError` where the work is to end."""


class JobError(SteeringError, RuntimeError):
    """The work was stopped, or broke down."""


class Job:
    """Work that has begun; any number of visitors watch it, and it goes on without them."""

    def __init__(self, name: str, work: Callable[[Tell], None]) -> None:
        self.latest: Any = None
        """The last picture that it told."""
        self._name = name
        self._stopping = threading.Event()
        self._problem: SteeringError | None = JobError(
            f"The {name} broke down: a bug, written to the page's log."
        )
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it when it next tells how far it is."""
        self._stopping.set()

    def watch(self) -> Iterator[Any]:
        """The pictures that it tells, until it ends.

        Raises:
            SteeringError: It was stopped, or could not be done.
        """
        shown = None
        while self.running:
            self._thread.join(LOOK_AGAIN)
            if self.latest is not shown:
                shown = self.latest
                yield shown
        if self._problem is not None:
            raise self._problem

    def _run(self, work: Callable[[Tell], None]) -> None:
        try:
            work(self._tell)
            self._problem = None
        except SteeringError as error:
            self._problem = error

    def _tell(self, picture: Any) -> None:
        if self._stopping.is_set():
            raise JobError(f"The {self._name} was stopped.")
        self.latest = picture
