"""One decode at a time, in order, each told its place; whoever leaves gives the place up."""

import threading
import time

import pytest


class Stream:
    """A stream that only knows whether it was closed."""

    closed = False

    def close(self):
        self.closed = True


def line():
    from ui.line import Line

    return Line()


def test_eight_threads_are_served_in_the_order_in_which_they_came():
    queue, served, told, inside = line(), [], {}, []

    def ask(number):
        with queue.ticket(str(number)) as ticket:
            ready.set()
            told[number] = list(ticket.waiting())
            inside.append(number)
            assert inside == [number]
            time.sleep(0.01)
            served.append(number)
            inside.remove(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    with queue.ticket(None) as first:
        assert list(first.waiting()) == []
        for thread in threads:
            ready = threading.Event()
            thread.start()
            assert ready.wait(5)
        time.sleep(0.05)
    for thread in threads:
        thread.join(10)
    assert served == list(range(8))
    for number, places in told.items():
        assert places[0] == number + 1
        assert places == sorted(places, reverse=True)


def test_who_stops_while_waiting_leaves_and_what_they_carry_is_closed():
    queue, stream = line(), Stream()
    with queue.ticket("a") as first, queue.ticket("b") as second, queue.ticket("c") as third:
        places = second.waiting()
        assert next(places) == 1
        queue.stop("b")
        assert second.stopped
        assert list(places) == []
        second.carry(stream)  # type: ignore[arg-type]
        assert stream.closed
        assert not first.stopped
        assert next(third.waiting()) == 2


def test_stopping_ends_every_request_of_its_owner_and_nobody_else_s():
    queue, streams = line(), [Stream() for _ in range(4)]
    owners = ["a", "b", "a", None]
    tickets = [queue.ticket(owner) for owner in owners]
    for ticket, stream in zip(tickets, streams, strict=True):
        ticket.__enter__().carry(stream)  # type: ignore[arg-type]
    queue.stop(None)
    assert not any(stream.closed for stream in streams)
    queue.stop("a")
    assert [stream.closed for stream in streams] == [True, False, True, False]
    for ticket in tickets:
        ticket.__exit__(None, None, None)


def test_a_place_is_given_up_however_its_block_ends():
    queue, stream = line(), Stream()

    def work():
        with queue.ticket("a") as ticket:
            ticket.carry(stream)  # type: ignore[arg-type]
            yield

    left = work()
    next(left)
    left.close()
    assert stream.closed
    with pytest.raises(ZeroDivisionError), queue.ticket("b"):
        raise ZeroDivisionError
    with queue.ticket("c") as ticket:
        assert list(ticket.waiting()) == []


def test_a_full_line_says_so():
    from contextlib import ExitStack

    from ui.line import LONGEST, LineError

    queue = line()
    with ExitStack() as places:
        for _ in range(LONGEST):
            places.enter_context(queue.ticket(None))
        with pytest.raises(LineError, match=f"{LONGEST} requests"), queue.ticket("b"):
            pass
    with queue.ticket("b") as ticket:
        assert list(ticket.waiting()) == []


def test_nobody_takes_the_whole_line():
    from contextlib import ExitStack

    from ui.line import MOST_OF_ONE, LineError

    queue = line()
    with ExitStack() as places:
        for _ in range(MOST_OF_ONE):
            places.enter_context(queue.ticket("a"))
        with pytest.raises(LineError, match=f"{MOST_OF_ONE} of your requests"), queue.ticket("a"):
            pass
        with queue.ticket("b"), queue.ticket(None):
            assert queue.length == MOST_OF_ONE + 2
    with queue.ticket("a") as ticket:
        assert list(ticket.waiting()) == []


def test_a_request_that_was_abandoned_is_stopped_too_and_nobody_else_s_is():
    queue, stream = line(), Stream()
    with queue.ticket("a") as mine, queue.ticket("b") as other, queue.ticket(None) as program:
        mine.carry(stream)  # type: ignore[arg-type]
        queue.abandon(None)
        queue.abandon("a")
        assert (mine.abandoned, mine.stopped, stream.closed) == (True, True, True)
        for each in (other, program):
            assert not each.abandoned
            assert not each.stopped
