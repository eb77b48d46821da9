"""Atlas files as files: connected, refused by name, and what SQLite says put into words.

It knows that a file is an atlas, whole and of a known version; it reads no table.
"""

import errno
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from steering.atlas.schema import APPLICATION_ID, newest
from steering.errors import AtlasError, SteeringError

_MAGIC = b"SQLite format 3\x00"
_FULL = "the disk is full. Make room and run it again; what was there is unchanged"
_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""


def connect(file: Path) -> sqlite3.Connection:
    """A connection in which every transaction is begun by hand."""
    # SQLite itself serialises threads; transactions are guarded by the atlas's lock.
    db = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -65536")
    return db


def require_atlas(file: Path) -> None:
    """Refuse by name whatever is no whole atlas of a known version, without touching it."""
    if file.is_dir():
        raise AtlasError(f"{str(file)!r} is a folder, and an atlas is a file. Name one in it.")
    if not file.is_file():
        raise AtlasError(
            f"There is no atlas {str(file)!r}. Build one with `steer atlas build --text FILE`."
        )
    undo_what_was_cut_off(file)
    with explained(file), file.open("rb") as opened:
        header = opened.read(100)
        size = opened.seek(0, 2)
    if len(header) < 100 or header[:16] != _MAGIC:
        raise AtlasError(f"{str(file)!r} is no SQLite file, so it is no atlas. Give another file.")
    page, pages = struct.unpack(">H", header[16:18])[0], struct.unpack(">I", header[28:32])[0]
    if size < (65536 if page == 1 else page) * pages:
        raise AtlasError(
            f"{str(file)!r} is cut short ({size:,} bytes of {page * pages:,}). Copy it again, or "
            "delete it and build the atlas anew."
        )
    version, mark = struct.unpack(">I", header[60:64])[0], struct.unpack(">I", header[68:72])[0]
    if mark != APPLICATION_ID:
        raise AtlasError(
            f"{str(file)!r} is an SQLite file of another program, and no atlas. Give another file."
        )
    if version > newest():
        raise AtlasError(
            f"{str(file)!r} has schema version {version}, and this program reads up to "
            f"{newest()}. Update the program."
        )


def undo_what_was_cut_off(file: Path) -> None:
    """Have SQLite undo a transaction that a kill cut off: half of it looks like damage."""
    if file.is_file() and file.with_name(f"{file.name}-journal").is_file():
        with explained(file), closing(connect(file)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into an AtlasError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name == "SQLITE_FULL":
            said = _FULL
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            said = "the file is damaged. Copy it again, or delete it and build the atlas anew"
        elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            said = "another program is writing it. Wait until it is done"
        else:
            said = f"{error}. Check the file and its folder"
        raise AtlasError(f"Cannot use the atlas {str(file)!r}: {said}.") from error
    except UnicodeEncodeError as error:
        raise AtlasError(
            f"{error.object!r} holds half a character, which no atlas can keep. Write it without."
        ) from error
    except OSError as error:
        if isinstance(error, SteeringError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = _FULL if full else f"{error.strerror}. Check the path"
        raise AtlasError(f"Cannot use the atlas {str(file)!r}: {said}.") from error
