"""The file of an atlas: opened and refused, read and written in whole transactions.

It knows no statistic and no label; what stands in the tables is the business of its neighbours.
"""

import json
import sqlite3
import struct
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from steering.atlas.schema import APPLICATION_ID, migrate, newest
from steering.bundle import BUNDLE
from steering.errors import AtlasError, FeatureError, SteeringError

if TYPE_CHECKING:
    from steering.sae import Sae

ATLAS_FILE = "atlas.sqlite"
"""Beside an SAE that comes with one."""

_MAGIC = b"SQLite format 3\x00"
_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""


@dataclass(frozen=True)
class About:
    """Whose atlas it is, and what its statistics rest on."""

    fingerprint: str
    sae: str
    hook_name: str
    d_sae: int
    d_in: int
    model: str | None = None
    neuronpedia_id: str | None = None
    text: str | None = None
    """What the statistics were measured on; None before a build."""
    tokens: int = 0
    """Counted tokens: not position 0, not special."""
    median_norm: float | None = None
    """Of the stream over those tokens, in the space in which the SAE's activations count."""

    @classmethod
    def of(cls, sae: "Sae") -> Self:
        """Of an SAE that nothing was measured of yet."""
        return cls(
            fingerprint=sae.fingerprint,
            sae=sae.name,
            hook_name=sae.hook_name,
            d_sae=sae.d_sae,
            d_in=sae.d_in,
            model=sae.model_name,
            neuronpedia_id=sae.neuronpedia_id,
        )


class Atlas:
    """What is known of each feature of one SAE, in one file.

    Attributes:
        path: The file.
        about: Whose it is.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Wrap an open file; use `open` or `create`."""
        self.path = path
        self._db = db
        self._close = weakref.finalize(self, db.close)
        self._lock = threading.RLock()
        self.about = self._read_about()

    @classmethod
    def open(cls, path: str | Path, sae: "Sae | None" = None) -> Self:
        """Open an atlas, bringing an older one up to date.

        Args:
            path: The file.
            sae: Whose atlas it must be, if that matters.

        Raises:
            AtlasError: No such file, not an atlas, damaged, newer than this program, or another
                SAE's; the file is left as it is.
        """
        file = Path(path).expanduser()
        _require_atlas(file)
        with _explained(file):
            db = _connect(file)
            try:
                migrate(db)
                atlas = cls(file, db)
                if sae is not None:
                    atlas.require_sae(sae)
            except BaseException:
                db.close()
                raise
        return atlas

    @classmethod
    def create(cls, path: str | Path, sae: "Sae") -> Self:
        """Open the atlas of an SAE, or begin an empty one where there is no file.

        Raises:
            AtlasError: What stands there is not this SAE's atlas, or nothing can be written there.
        """
        file = Path(path).expanduser()
        _undo_what_was_cut_off(file)
        # A kill between the first two steps of a new file leaves it empty.
        if file.exists() and file.stat().st_size:
            return cls.open(file, sae)
        with _explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            db = _connect(file)
            migrate(db)
            _write_about(db, About.of(sae))
            return cls(file, db)

    def close(self) -> None:
        """Close the file; what is forgotten closes itself."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_sae(self, sae: "Sae") -> None:
        """Raise AtlasError unless it is this SAE's."""
        if self.about.fingerprint != sae.fingerprint:
            raise AtlasError(
                f"{str(self.path)!r} is the atlas of SAE {self.about.sae!r} (fingerprint "
                f"{self.about.fingerprint}), and {sae.name!r} has fingerprint {sae.fingerprint}. "
                "Load that SAE, or build an atlas for this one: steer atlas build."
            )

    def require(self, feature: int) -> None:
        """Raise FeatureError unless the SAE has this feature."""
        if not 0 <= feature < self.about.d_sae:
            raise FeatureError(
                f"Feature {feature} is not in SAE {self.about.sae!r}, which has features 0 to "
                f"{self.about.d_sae - 1}. Check that the index and the atlas belong together."
            )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            AtlasError: The file is damaged.
        """
        with _explained(self.path), self._lock:
            return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """One transaction: everything written inside is kept, or nothing.

        Raises:
            AtlasError: The disk is full or the file cannot be written; it is as it was before.
        """
        with _explained(self.path), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self.about = self._read_about()

    def _read_about(self) -> About:
        found = dict(self.rows("SELECT key, value FROM about"))
        known = {field.name: json.loads(found[field.name]) for field in fields(About)}
        return About(**known)


class Writer:
    """What a transaction may do."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """One statement; how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for each row."""
        self._db.executemany(sql, rows)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query inside the transaction."""
        return self._db.execute(sql, values).fetchall()

    def set_about(self, about: About, **changed: Any) -> None:
        """Replace what is said of the whole atlas."""
        _write_about(self._db, replace(about, **changed))


def user_folder() -> Path:
    """A person's own atlases, in the platform's data folder."""
    import platformdirs

    return platformdirs.user_data_path("steering-playground") / "atlases"


def atlas_path(sae: "Sae") -> Path:
    """Where the atlas of an SAE lies: beside it where it came with one, else a person's own."""
    own = user_folder() / f"{sae.fingerprint}.sqlite"
    beside = sae.folder / ATLAS_FILE if sae.folder is not None else None
    return beside if beside is not None and beside.is_file() and not own.is_file() else own


def bundled_atlas() -> Path | None:
    """The atlas that the bundled SAE comes with, unless a person has one of their own."""
    beside = BUNDLE / "sae" / ATLAS_FILE
    if not beside.is_file():
        return None
    with Atlas.open(beside) as atlas:
        own = user_folder() / f"{atlas.about.fingerprint}.sqlite"
    return own if own.is_file() else beside


def find_atlas(sae: "Sae") -> Atlas | None:
    """The atlas of an SAE where it lies by default, None where there is none.

    Raises:
        AtlasError: There is one that cannot be read.
    """
    path = atlas_path(sae)
    return Atlas.open(path, sae) if path.is_file() else None


def _connect(file: Path) -> sqlite3.Connection:
    # SQLite itself serialises threads; transactions are guarded by the atlas's lock.
    db = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size = -65536")
    return db


def _write_about(db: sqlite3.Connection, about: About) -> None:
    pairs = [(key, json.dumps(value)) for key, value in asdict(about).items()]
    db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)


def _require_atlas(file: Path) -> None:
    """Refuse by name whatever is no whole atlas of a known version, without touching it."""
    if not file.is_file():
        raise AtlasError(
            f"There is no atlas {str(file)!r}. Build one with `steer atlas build --text FILE`."
        )
    _undo_what_was_cut_off(file)
    with _explained(file), file.open("rb") as opened:
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


def _undo_what_was_cut_off(file: Path) -> None:
    """Have SQLite undo a transaction that a kill cut off: half of it looks like damage."""
    if file.is_file() and file.with_name(f"{file.name}-journal").is_file():
        with _explained(file), closing(_connect(file)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into an AtlasError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name == "SQLITE_FULL":
            said = "the disk is full. Make room and run it again; what was there is unchanged"
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            said = "the file is damaged. Copy it again, or delete it and build the atlas anew"
        elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            said = "another program is writing it. Wait until it is done"
        else:
            said = f"{error}. Check the file and its folder"
        raise AtlasError(f"Cannot use the atlas {str(file)!r}: {said}.") from error
    except OSError as error:
        if isinstance(error, SteeringError):
            raise
        raise AtlasError(
            f"Cannot use the atlas {str(file)!r}: {error.strerror}. Check the path."
        ) from error
