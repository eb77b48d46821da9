"""The one session that a running page shares, loaded in the background, and who uses it.

The only state of the page's server: everything else is in the browser.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from steering.errors import AtlasError, LoadError, SteeringError
from ui.job import Job
from ui.line import Line

if TYPE_CHECKING:
    from steering.session import Session

Load = Callable[[], "Session"]


@dataclass(frozen=True)
class Status:
    """How far loading is."""

    phase: Literal["loading", "ready", "failed"]
    note: str


class Host:
    """Holds the session, its presets folder, and the line of requests.

    Attributes:
        presets: A person's own presets; the platform's data folder if None.
        trusted: Whether visitors may write presets and load other models: not on a shared address.
        line: Who decodes next.
        builds: The last build of an atlas begun here, by the SAE's fingerprint.
        problem: Why the last attempt to load failed; what was loaded before it stays in use.
    """

    def __init__(self, load: Load, *, presets: Path | None = None, trusted: bool = True) -> None:
        self.presets = presets
        self.trusted = trusted
        self.line = Line()
        self.builds: dict[str, Job] = {}
        self._load = load
        self._session: Session | None = None
        self.problem: str | None = None
        self._began = time.monotonic()
        self._loaded = threading.Event()
        """Of the last attempt: one that was overtaken has no say any more."""

    def require_trusted(self) -> None:
        """Raise where strangers may not write an atlas.

        Raises:
            AtlasError: This page is one of those.
        """
        if not self.trusted:
            raise AtlasError("This page is open to others, so it writes no files. Use the command.")

    def start(self, load: Load | None = None) -> None:
        """Load in the background; what is there now stays in use until then."""
        self._load = load or self._load
        self.problem = None
        self._began = time.monotonic()
        self._loaded = threading.Event()
        attempt = (self._load, self._loaded)
        threading.Thread(target=self._run, args=attempt, name="load", daemon=True).start()

    def _run(self, load: Load, loaded: threading.Event) -> None:
        session, problem = None, None
        try:
            session = load()
        except SteeringError as error:
            problem = f"The model could not be loaded. {error}"
        except Exception as error:  # a bug, and yet the page must stay up and say so
            logging.getLogger(__name__).exception("loading failed")
            problem = f"The model could not be loaded. {type(error).__name__}: {error}"
        if loaded is self._loaded:
            self._session, self.problem = session or self._session, problem
        loaded.set()

    def wait(self, seconds: float) -> bool:
        """Whether loading ended within some seconds."""
        return self._loaded.wait(seconds)

    @property
    def status(self) -> Status:
        """How far loading is, in words."""
        if not self._loaded.is_set():
            passed = time.monotonic() - self._began
            return Status("loading", f"Loading the model, {passed:.0f} s so far.")
        if self._session is None:
            return Status("failed", self.problem or "")
        return Status("ready", "")

    @property
    def session(self) -> "Session":
        """What is loaded.

        Raises:
            LoadError: Nothing is, yet or at all.
        """
        if self._session is None:
            raise LoadError(self.problem or "The model is still loading. Try again in a moment.")
        return self._session
