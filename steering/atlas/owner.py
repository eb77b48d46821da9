"""Who is building: one build at a time on a file, and the second is told who has it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from steering.atlas.opening import explained
from steering.errors import AtlasError


@contextmanager
def owning(path: Path) -> Iterator[None]:
    """Be the only build on an atlas inside the block; the system frees it where one is killed.

    Raises:
        AtlasError: Another build has it: which process, and since when; or nothing can be written
            there.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    note = path.with_name(f"{path.name}.owner")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise AtlasError(
                f"{str(path)!r} is being built by {_said(note)}. Wait until it is done, or end it."
            ) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        with explained(path):
            note.write_text(json.dumps({"pid": os.getpid(), "since": since}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _said(note: Path) -> str:
    try:
        owner = json.loads(note.read_text())
        return f"process {owner['pid']} since {owner['since']}"
    except (OSError, ValueError, KeyError):
        return "another process that has just begun"
