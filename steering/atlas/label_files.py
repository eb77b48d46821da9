"""Labels that others have published: Neuronpedia's explanation files, or any JSONL.

A line is an object with a feature (`feature` or `index`) and a text (`label`, `description`,
`explanation` or `text`); `score` and `source` where it has them. Neuronpedia's `batch-N.jsonl.gz`
say the explaining model and method, which become the source.
"""

import gzip
import http.client
import io
import json
import re
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from steering.atlas.labels import TRUTH, Label
from steering.errors import AtlasError

_FEATURE = ("feature", "index")
_TEXT = ("label", "description", "explanation", "text")
MOST_FETCHED = 256 * 2**20
"""Bytes of one file behind an address."""
MOST_UNPACKED = 2**30
"""Characters of one file: a small packed one can hold gigabytes of nothing."""
MOST_IN_LINE = 2**20
MOST_BATCHES = 10_000
_PATIENCE = 30.0
_GONE = (403, 404)
"""What a store answers for a batch behind the last one."""


def read_labels(where: str, *, neuronpedia_id: str | None = None) -> Iterator[Label]:
    """The labels in a file, a folder of batches, or behind an address.

    Args:
        where: A .jsonl or .jsonl.gz file; a folder of them; an http(s) or s3 address of a file, or
            of a folder of `batch-0.jsonl.gz`, `batch-1.jsonl.gz` and so on.
        neuronpedia_id: The SAE that they must be of, where both sides say it.

    Raises:
        AtlasError: It cannot be read, or is of another SAE.
    """
    file = Path(where).resolve().name  # "." has no name of its own
    for name, lines in _sources(where):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _label(line, f"{name}, line {number}", file, neuronpedia_id)


def _sources(where: str) -> Iterator[tuple[str, Iterable[str]]]:
    if re.match(r"(https?|s3)://", where):
        yield from _addresses(re.sub(r"^s3://([^/]+)/", r"https://\1.s3.amazonaws.com/", where))
        return
    path = Path(where).expanduser()
    files = [path] if path.is_file() else sorted(_label_files(path), key=_batch_order)
    if not files:
        raise AtlasError(
            f"There are no labels at {where!r}. Give a .jsonl or .jsonl.gz file, a folder of them, "
            "or an address."
        )
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise AtlasError(f"Cannot read {str(file)!r}: {error.strerror}.") from error
        yield repr(str(file)), _lines(content, repr(str(file)))


def _label_files(folder: Path) -> list[Path]:
    return [*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]


def _batch_order(path: Path) -> tuple[int, str]:
    number = re.search(r"(\d+)\.jsonl", path.name)
    return (int(number[1]) if number else -1, path.name)


def _addresses(address: str) -> Iterator[tuple[str, Iterable[str]]]:
    if re.search(r"\.jsonl(\.gz)?$", address):
        yield address, _lines(_fetch(address), address)
        return
    for number in range(MOST_BATCHES):
        batch = f"{address.rstrip('/')}/batch-{number}.jsonl.gz"
        try:
            content = _fetch(batch)
        except AtlasError as error:
            cause = error.__cause__
            if number and isinstance(cause, urllib.error.HTTPError) and cause.code in _GONE:
                return
            raise
        yield batch, _lines(content, batch)
    raise AtlasError(
        f"{address!r} has more than {MOST_BATCHES:,} batches, which no SAE's labels have. Check "
        "the address, or give a local folder."
    )


def _fetch(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
            content = answer.read(MOST_FETCHED + 1)
            if len(content) <= MOST_FETCHED and answer.length:
                raise OSError(f"it ended {answer.length:,} bytes early")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # or its socket stays open as long as the error is kept
        raise AtlasError(
            f"Cannot fetch {address!r}: {error}. Check the address and the network, or give a "
            "local folder."
        ) from error
    if len(content) > MOST_FETCHED:
        raise AtlasError(
            f"{address!r} has more than {MOST_FETCHED // 2**20:,} MiB, which is too much for one "
            "file of labels. Check the address, or fetch it yourself and give the file."
        )
    return content


def _lines(content: bytes, name: str) -> Iterator[str]:
    """Lines, unpacked as they are asked for."""
    packed = content[:2] == b"\x1f\x8b"
    raw = io.BytesIO(content)
    seen = 0
    try:
        with io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if packed else raw, "utf-8-sig") as text:
            while line := text.readline(MOST_IN_LINE):
                seen += len(line)
                _require_bounded(line, seen, name)
                yield line
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise AtlasError(f"{name} is damaged ({error}). Fetch it again.") from error


def _require_bounded(line: str, seen: int, name: str) -> None:
    if len(line) >= MOST_IN_LINE:
        raise AtlasError(
            f"{name} has a line of {MOST_IN_LINE:,} characters or more, which is no label. Check "
            "the file."
        )
    if seen > MOST_UNPACKED:
        raise AtlasError(
            f"{name} holds more than {MOST_UNPACKED:,} characters, which is too much for one file "
            "of labels. Check the file, or cut it into several."
        )


def _label(line: str, where: str, file: str, neuronpedia_id: str | None) -> Label:
    try:
        data = json.loads(line)
        feature = int(next(data[key] for key in _FEATURE if key in data))
        text = str(next((data[key] for key in _TEXT if data.get(key)), ""))
        text.encode()  # half a character cannot be kept
        score = None if data.get("score") is None else float(data["score"])
    except (ValueError, OverflowError, TypeError, AttributeError, StopIteration) as error:
        raise AtlasError(
            f"{where} is no label: a line is a JSON object with {' or '.join(_FEATURE)}, and "
            f"{' or '.join(_TEXT)}. Correct it."
        ) from error
    _require_same_sae(data, where, neuronpedia_id)
    return Label(feature, text, _source(data, where, file), score)


def _require_same_sae(data: dict[str, Any], where: str, neuronpedia_id: str | None) -> None:
    if neuronpedia_id is None or "modelId" not in data or "layer" not in data:
        return
    own = f"{data['modelId']}/{data['layer']}"
    if own != neuronpedia_id:
        raise AtlasError(
            f"{where} is a label of {own!r}, and this is the atlas of {neuronpedia_id!r}. "
            "Give the files of that SAE."
        )


def _source(data: dict[str, Any], where: str, file: str) -> str:
    source = data.get("source")
    if source == TRUTH:
        raise AtlasError(
            f"{where} has the source {TRUTH!r}, which stands for the file beside the SAE and "
            "counts more than explanations. Name its own source, or take those labels with --truth."
        )
    if source:
        return str(source)
    said = [str(data[key]) for key in ("explanationModelName", "typeName") if data.get(key)]
    return f"neuronpedia: {', '.join(said)}" if said or "modelId" in data else f"file {file}"
