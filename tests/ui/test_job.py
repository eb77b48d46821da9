"""Long work that the page watches and stops."""

import threading

import pytest


def test_its_last_picture_is_shown_until_it_ends():
    from ui.job import Job

    told, shown = threading.Event(), threading.Event()

    def work(tell):
        tell(1)
        tell(2)
        told.set()
        assert shown.wait(20)

    job = Job("build", work)
    assert told.wait(20)
    pictures = job.watch()
    assert next(pictures) == job.latest == 2
    assert job.running
    shown.set()
    assert list(pictures) == []
    assert not job.running


def test_what_it_raises_on_purpose_is_raised_to_whoever_watches():
    from steering.errors import AtlasError
    from ui.job import Job

    def work(_tell):
        raise AtlasError("no room")

    job = Job("build", work)
    for _ in range(2):
        with pytest.raises(AtlasError, match="no room"):
            list(job.watch())


def test_a_stopped_one_ends_when_it_next_tells():
    from ui.job import Job, JobError

    stopped = threading.Event()

    def work(tell):
        assert stopped.wait(20)
        tell("more")

    job = Job("build", work)
    job.stop()
    stopped.set()
    with pytest.raises(JobError, match="build was stopped"):
        list(job.watch())
    assert job.latest is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_it_is_said_too():
    from ui.job import Job, JobError

    def work(_tell):
        raise ZeroDivisionError

    with pytest.raises(JobError, match="broke down"):
        list(Job("build", work).watch())
