"""Who decodes next: one at a time, in the order in which they came, each told their place.

Gradio has a queue too. This one also ends a request that still waits, and says its place in words.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from steering.errors import SteeringError

if TYPE_CHECKING:
    from steering.stream import Stream

LONGEST = 32
"""Each waiting request takes a worker thread from time to time; Gradio has 40."""
MOST_OF_ONE = 8
LOOK_AGAIN = 0.1


class LineError(SteeringError, RuntimeError):
    """Too many requests wait already."""


class Ticket:
    """One request's place in a line."""

    def __init__(self, line: "Line", owner: str | None) -> None:
        self.owner = owner
        self.stopped = False
        self.abandoned = False
        """Nobody wants to see what it writes any more."""
        self.stream: Stream | None = None
        self._line = line

    def waiting(self) -> Iterator[int]:
        """Yield the number of requests ahead, again and again, until it is this one's turn."""
        while (ahead := self._line.ahead_of(self)) and not self.stopped:
            yield ahead
            self._line.wait(LOOK_AGAIN)

    def carry(self, stream: "Stream") -> None:
        """Let `stop` close this stream from now on."""
        self.stream = stream
        if self.stopped:
            stream.close()

    def stop(self) -> None:
        """End this request within one token, also where it still waits."""
        self.stopped = True
        if self.stream is not None:
            self.stream.close()


class Line:
    """Requests in the order in which they came."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._moved = threading.Condition()

    @contextmanager
    def ticket(self, owner: str | None) -> Iterator[Ticket]:
        """A place at the end of the line, given up at the end of the block, however that comes.

        Raises:
            LineError: The line is full.
        """
        ticket = Ticket(self, owner)
        with self._moved:
            if owner is not None and len(self._of(owner)) >= MOST_OF_ONE:
                raise LineError(
                    f"{MOST_OF_ONE} of your requests are waiting already. Stop one of them first."
                )
            if len(self._tickets) >= LONGEST:
                raise LineError(f"{LONGEST} requests are waiting already. Try again in a minute.")
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            if ticket.stream is not None:
                ticket.stream.close()
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()

    @property
    def length(self) -> int:
        """How many requests are in it, the one that decodes included."""
        return len(self._tickets)

    def ahead_of(self, ticket: Ticket) -> int:
        """How many requests come first."""
        return self._tickets.index(ticket)

    def wait(self, seconds: float) -> None:
        """Until the line moves, or for some seconds."""
        with self._moved:
            self._moved.wait(seconds)

    def _of(self, owner: str | None) -> list[Ticket]:
        """The requests of one browser; None is nobody's."""
        return [each for each in self._tickets if owner is not None and each.owner == owner]

    def stop(self, owner: str | None) -> None:
        """End every request of one browser, and let it show what was written."""
        for ticket in self._of(owner):
            ticket.stop()

    def abandon(self, owner: str | None) -> None:
        """End every request of one browser, and let it show nothing more."""
        for ticket in self._of(owner):
            ticket.abandoned = True
            ticket.stop()
