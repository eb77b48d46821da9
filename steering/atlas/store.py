"""The file of an atlas: opened and refused, read and written in whole transactions.

It knows no statistic and no label; what stands in the tables is the business of its neighbours.
"""

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from steering.atlas.opening import connect, explained, require_atlas, undo_what_was_cut_off
from steering.atlas.schema import migrate
from steering.errors import AtlasError, FeatureError

if TYPE_CHECKING:
    from steering.sae import Sae


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
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Wrap an open file; use `open` or `create`."""
        self.path = path
        self._db = db
        self._close = weakref.finalize(self, db.close)
        self._lock = threading.RLock()
        self._version = self._data_version()
        self._about = self._read_about()

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
        require_atlas(file)
        with explained(file):
            db = connect(file)
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
        undo_what_was_cut_off(file)
        # A kill between the first two steps of a new file leaves it empty.
        if file.exists() and file.stat().st_size:
            return cls.open(file, sae)
        # Whole before it has its name: a kill leaves no file that says not whose it is.
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        with explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            try:
                with closing(connect(part)) as db:
                    migrate(db)
                    _write_about(db, About.of(sae))
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
        return cls.open(file, sae)

    @property
    def about(self) -> About:
        """Whose it is, and what it rests on now: another process may build it meanwhile."""
        version = self._data_version()
        if version != self._version:
            self._version, self._about = version, self._read_about()
        return self._about

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
        with explained(self.path), self._lock:
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
        with explained(self.path), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Writer(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self._about = self._read_about()

    def copy_to(self, path: Path) -> None:
        """Write the whole atlas to another place, wholly or not at all.

        Raises:
            AtlasError: It cannot be written there.
        """
        part = path.with_name(f"{path.name}.part")
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            try:
                with closing(sqlite3.connect(part)) as copy, self._lock:
                    self._db.backup(copy)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    def _data_version(self) -> int:
        """Changes whenever another connection has written."""
        return self.rows("PRAGMA data_version")[0][0]

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


def _write_about(db: sqlite3.Connection, about: About) -> None:
    pairs = [(key, json.dumps(value)) for key, value in asdict(about).items()]
    db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", pairs)
