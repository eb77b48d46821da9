"""A stand-in for the Hugging Face hub: serves folders as model repositories over local HTTP.

It answers the requests that huggingface_hub, transformers, TransformerLens and SAELens make when
they load a model or an SAE, with the hub's own headers, redirects and error codes. It knows no
machine learning; a process sees it by setting `HF_ENDPOINT` before it imports any of the four.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_FILES = {".safetensors", ".npz", ".bin", ".pt"}
RESOLVE = re.compile(r"^/(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
API = re.compile(
    r"^/api/models/(?P<repo>[^/]+(?:/(?!revision/|tree/)[^/]+)?)"
    r"(?:/(?P<kind>revision|tree)/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?$"
)
CDN = re.compile(r"^/cdn/(?P<repo>[^/]+/[^/]+)/(?P<path>.+)$")
CHUNK = 1 << 20


class Fault(StrEnum):
    """What goes wrong with a repository; a repository that is not served at all is `missing`."""

    NONE = "none"
    GATED = "gated"
    """401 to strangers and 403 to tokens whose owner has not accepted the licence."""
    SLOW = "slow"
    """Large files come in dribbles with pauses between them."""
    BROKEN_ONCE = "broken once"
    """Every large file's first download breaks off half-way; a resumed one goes through."""
    BROKEN_OFF = "broken off"
    """Every download of a large file breaks off half-way through what is left."""


@dataclass
class Repository:
    """One folder, served under `name`."""

    name: str
    folder: Path
    fault: Fault = Fault.NONE
    broken: set[str] = field(default_factory=set)

    @property
    def commit(self) -> str:
        return hashlib.sha1(self.name.encode()).hexdigest()

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )

    def entries(self, under: str, *, recursive: bool) -> list[dict[str, Any]]:
        """The hub's listing of a folder, or an empty list where there is no such folder."""
        root = self.folder / under
        if not root.is_dir():
            return []
        paths = sorted(root.rglob("*") if recursive else root.iterdir())
        return [self._entry(path) for path in paths]

    def _entry(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self.folder).as_posix()
        if path.is_dir():
            return {"type": "directory", "oid": _sha1(name), "size": 0, "path": name}
        return {"type": "file", "oid": _sha1(name), "size": path.stat().st_size, "path": name}


class Hub(ThreadingHTTPServer):
    """The server, its repositories, and the log of what was asked of it."""

    daemon_threads = True

    def __init__(self, repositories: Iterable[Repository], aliases: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = {repository.name: repository for repository in repositories}
        self.aliases = dict(aliases)
        self.log: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def cdn_url(self) -> str:
        """The same server under another host name: clients treat a redirect there as a CDN's."""
        return f"http://localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away mid-download is part of the tests, not news."""


@contextmanager
def serving(repositories: Iterable[Repository], aliases: Mapping[str, str]) -> Iterator[Hub]:
    """Serve the repositories, and redirect old names to new, until the block ends."""
    hub = Hub(repositories, aliases)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection; HEAD and GET differ only in whether a body follows."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, Hub), "only a hub makes these handlers"
        return self.server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the hub keeps its own log."""

    def _answer(self) -> None:
        self.hub.log.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        for route, respond in ((RESOLVE, self._resolve), (API, self._api), (CDN, self._cdn)):
            found = route.match(path)
            if found:
                return respond(**found.groupdict())
        return self._error(HTTPStatus.NOT_FOUND, "", "Not Found")

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        repository = self._admit(repo, revision)
        if repository is None:
            return
        file = repository.folder / path
        if not file.is_file():
            self._error(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", repository)
        elif file.suffix in LARGE_FILES:
            self._redirect_to_cdn(repository, path)
        else:
            headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{_sha1(path)}"'}
            self._send(HTTPStatus.OK, file.read_bytes(), headers)

    def _redirect_to_cdn(self, repository: Repository, path: str) -> None:
        """Large files lie behind a redirect, with their size and ETag in linked headers."""
        headers = {
            "X-Repo-Commit": repository.commit,
            "X-Linked-Size": str((repository.folder / path).stat().st_size),
            "X-Linked-ETag": f'"{hashlib.sha256(path.encode()).hexdigest()}"',
            "Location": f"{self.hub.cdn_url}/cdn/{repository.name}/{path}",
        }
        self._send(HTTPStatus.FOUND, b"", headers)

    def _api(self, repo: str, kind: str | None, revision: str | None, path: str | None) -> None:
        repository = self._admit(repo, revision or "main", metadata=True)
        if repository is None:
            return
        if kind == "tree":
            query = parse_qs(urlsplit(self.path).query)
            recursive = query.get("recursive", ["false"])[0].lower() in {"true", "1"}
            entries = repository.entries(path or "", recursive=recursive)
            if not entries:
                self._error(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", repository)
                return
            self._send_json(entries)
        else:
            self._send_json(
                {
                    "id": repository.name,
                    "modelId": repository.name,
                    "sha": repository.commit,
                    "private": False,
                    "gated": "manual" if repository.fault is Fault.GATED else False,
                    "tags": [],
                    "siblings": [{"rfilename": name} for name in repository.files()],
                }
            )

    def _admit(self, repo: str, revision: str, *, metadata: bool = False) -> Repository | None:
        """The repository, or None once a redirect or an error has been sent in its place.

        What a gated repository is called and lists is public; only its files are not.
        """
        if repo in self.hub.aliases:
            target = self.path.replace(f"/{repo}", f"/{self.hub.aliases[repo]}", 1)
            self._send(HTTPStatus.TEMPORARY_REDIRECT, b"", {"Location": target})
            return None
        repository = self.hub.repositories.get(repo)
        known = self.headers.get("Authorization") is not None
        if repository is None:
            # Without https, huggingface_hub reads a missing repository off the code alone.
            status = HTTPStatus.NOT_FOUND if known else HTTPStatus.UNAUTHORIZED
            self._error(status, "RepoNotFound", "Repository not found")
        elif repository.fault is Fault.GATED and not metadata:
            status = HTTPStatus.FORBIDDEN if known else HTTPStatus.UNAUTHORIZED
            self._error(status, "GatedRepo", f"Access to model {repo} is restricted.", repository)
        elif revision not in {"main", repository.commit}:
            self._error(HTTPStatus.NOT_FOUND, "RevisionNotFound", "Invalid rev id", repository)
        else:
            return repository
        return None

    def _cdn(self, repo: str, path: str) -> None:
        """The bytes of a large file, from the start or from where a Range header asks."""
        repository = self.hub.repositories[repo]
        file = repository.folder / path
        size = file.stat().st_size
        asked = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        stop = int(asked[2]) + 1 if asked and asked[2] else size
        self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if self.command == "GET":
            self._send_file(repository, path, start, stop)

    def _send_file(self, repository: Repository, path: str, start: int, stop: int) -> None:
        fault = repository.fault
        if fault is Fault.BROKEN_OFF or (
            fault is Fault.BROKEN_ONCE and path not in repository.broken
        ):
            repository.broken.add(path)
            stop = start + (stop - start) // 2
            self.close_connection = True
        slow = fault is Fault.SLOW
        step = max(1, (stop - start) // 8) if slow else CHUNK
        with (repository.folder / path).open("rb") as file:
            file.seek(start)
            for position in range(start, stop, step):
                self.wfile.write(file.read(min(step, stop - position)))
                self.wfile.flush()
                if slow:
                    time.sleep(0.1)

    def _send_json(self, value: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(
        self, status: HTTPStatus, code: str, message: str, repository: Repository | None = None
    ) -> None:
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        if repository is not None:
            headers["X-Repo-Commit"] = repository.commit
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()
