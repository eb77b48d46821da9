"""Where the text of a build comes from: a file, a folder, a dataset of the hub, standard input.

Texts stream: whatever their size, only the document at hand is in memory. In a plain text file a
line of three hyphens ends a document; a JSONL file holds one document a line. A document beyond
`DOCUMENT_CHARACTERS` is cut there, and goes on as another.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Any

from steering.errors import AtlasError
from steering.hub import explain_hub_failure

DOCUMENT_CHARACTERS = 200_000
LINE_CHARACTERS = 2**27
"""Of a line of JSONL: a book is a hundredth of that."""
BREAK = "---"
SUFFIXES = (".txt", ".md", ".text", ".jsonl")
_COLUMN = "text"
_GIVE = (
    "Give a text file, a folder of them, `-` for standard input, or the name of a dataset on the "
    "hub."
)


@dataclass(frozen=True)
class TextSource:
    """A text that can be read from its beginning as often as needed."""

    name: str
    documents: Callable[[], Iterator[str]]


def text_source(asked: str, *, split: str = "train", column: str = _COLUMN) -> TextSource:
    """The text that a person named.

    Args:
        asked: A file, a folder (its .txt, .md and .jsonl files in the order of their names), `-`
            for standard input, or the name of a dataset on the hub, with `:` and a configuration
            behind it where it has several.
        split: Of a dataset.
        column: Of a dataset or a JSONL file.

    Raises:
        AtlasError: Nothing is named, there is no such file, or a folder without texts.
    """
    if not asked.strip():
        # As a path it would be the folder that one happens to be in.
        raise AtlasError(f"The text {asked!r} names nothing. {_GIVE}")
    if asked == "-":
        return TextSource("standard input", _standard_input)
    path = Path(asked).expanduser()
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES)
        if not files:
            raise AtlasError(
                f"The folder {asked!r} holds no text: none of {', '.join(SUFFIXES)}. "
                "Give another folder, or a file."
            )
        return TextSource(asked, lambda: (d for each in files for d in _in_file(each, column)))
    if path.is_file():
        return TextSource(asked, lambda: _in_file(path, column))
    if asked.startswith((".", "/", "~")) or path.suffix in SUFFIXES or asked.count("/") > 1:
        raise AtlasError(f"There is no file or folder {asked!r}. {_GIVE}")
    return TextSource(asked, lambda: _in_dataset(asked, split, column))


def _standard_input() -> Iterator[str]:
    buffer = getattr(sys.stdin, "buffer", None)
    # Whatever the locale, which may let anything pass as text.
    reader = sys.stdin if buffer is None else TextIOWrapper(buffer, encoding="utf-8-sig")
    try:
        yield from _pieces(_checked(reader, "Standard input", DOCUMENT_CHARACTERS))
    finally:
        if isinstance(reader, TextIOWrapper) and reader is not sys.stdin:
            reader.detach()


def _in_file(path: Path, column: str) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            packed = path.suffix == ".jsonl"
            longest = LINE_CHARACTERS if packed else DOCUMENT_CHARACTERS
            lines = _checked(file, repr(str(path)), longest)
            yield from _json_lines(lines, path, column) if packed else _pieces(lines)
    except OSError as error:
        raise AtlasError(f"Cannot read {str(path)!r}: {error.strerror}. Check it.") from error


def _checked(file: TextIOBase | Any, name: str, longest: int) -> Iterator[str]:
    """Lines, or parts of a line that is longer; refused where they are not UTF-8."""
    try:
        while line := file.readline(longest):
            yield line
    except UnicodeDecodeError as error:
        raise AtlasError(
            f"{name} is not UTF-8 text (byte {error.object[error.start]:#04x}). "
            "Convert it first, or give another text."
        ) from error


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Documents of plain text."""
    held: list[str] = []
    size = 0
    for line in lines:
        if line.rstrip("\r\n") == BREAK or size + len(line) > DOCUMENT_CHARACTERS:
            yield "".join(held)
            held, size = [], 0
            if line.rstrip("\r\n") == BREAK:
                continue
        held.append(line)
        size += len(line)
    yield "".join(held)


def _json_lines(lines: Iterable[str], path: Path, column: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield from _cut(_column(json.loads(line), column, f"{str(path)!r}, line {number}"))
        except ValueError as error:
            if isinstance(error, AtlasError):
                raise
            raise AtlasError(
                f"{str(path)!r}, line {number}, is not valid JSON: {error}. Correct the line; it "
                f"may have up to {LINE_CHARACTERS:,} characters."
            ) from error


def _in_dataset(name: str, split: str, column: str) -> Iterator[str]:
    with explain_hub_failure(f"dataset {name!r}", local=False):
        for number, row in enumerate(_rows(name, split)):
            yield from _cut(_column(row, column, f"dataset {name!r}, row {number}"))


def _cut(whole: str) -> Iterator[str]:
    for start in range(0, len(whole), DOCUMENT_CHARACTERS):
        yield whole[start : start + DOCUMENT_CHARACTERS]


def _rows(name: str, split: str) -> Iterable[Any]:
    import datasets

    repository, _, configuration = name.partition(":")
    try:
        return datasets.load_dataset(repository, configuration or None, split=split, streaming=True)
    except ValueError as error:
        said = " ".join(str(error).split()).removesuffix(".")
        raise AtlasError(
            f"Cannot read the dataset {name!r}: {said}. Choose a configuration as "
            "NAME:CONFIGURATION, and a split with --split."
        ) from error


def _column(row: Any, column: str, where: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        has = ", ".join(row) if isinstance(row, dict) else f"a {type(row).__name__}"
        raise AtlasError(f"{where} has no text {column!r}: it has {has}. Name it with --column.")
    text = row[column]
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise AtlasError(f"{where} is not valid UTF-8 text: it holds half a character. Correct it.")
    return text
