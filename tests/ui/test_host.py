"""A session loads in the background, and the page can say how far that is."""

import threading

import pytest

from tests import tiny


def host(load):
    from ui.host import Host

    return Host(load)


def test_a_host_is_loading_then_ready():
    from steering.errors import LoadError

    go, session = threading.Event(), object()

    def load():
        assert go.wait(5)
        return session

    made = host(load)
    made.start()
    assert made.status.phase == "loading"
    assert "0 s so far" in made.status.note
    with pytest.raises(LoadError, match="still loading"):
        _ = made.session
    go.set()
    assert made.wait(5)
    assert made.status.phase == "ready"
    assert made.session is session


def test_what_went_wrong_is_said_in_words_and_a_bug_by_its_name():
    from steering.errors import LoadError

    def refused():
        raise LoadError("There is no folder '/x'.")

    def broken():
        raise KeyError("layer")

    for load, words in ((refused, "no folder '/x'"), (broken, "KeyError: 'layer'")):
        made = host(load)
        made.start()
        assert made.wait(5)
        assert made.status.phase == "failed"
        assert words in made.status.note
        assert made.problem == made.status.note
        with pytest.raises(LoadError, match=words):
            _ = made.session


def test_what_is_loaded_stays_until_another_is_and_where_that_fails():
    first, second = tiny.session(), tiny.session()

    def refused():
        from steering.errors import LoadError

        raise LoadError("Gone.")

    made = host(lambda: first)
    made.start()
    assert made.wait(5)
    made.start(refused)
    assert made.wait(5)
    assert (made.status.phase, made.session) == ("ready", first)
    assert made.problem == "The model could not be loaded. Gone."
    made.start(lambda: second)
    assert made.wait(5)
    assert (made.status.phase, made.session, made.problem) == ("ready", second, None)


def test_an_attempt_that_was_overtaken_has_no_say():
    slow, began, ended = threading.Event(), threading.Event(), threading.Event()
    wanted = tiny.session()

    def old():
        began.set()
        assert slow.wait(5)
        ended.set()
        return object()

    made = host(old)
    made.start()
    assert began.wait(5)
    made.start(lambda: wanted)
    assert made.wait(5)
    slow.set()
    assert ended.wait(5)
    for thread in threading.enumerate():
        if thread.name == "load":
            thread.join(5)
    assert made.session is wanted
    assert made.status.phase == "ready"
