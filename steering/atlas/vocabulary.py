"""The tokens of a model as bytes, so that an atlas can be read without its model.

Bytes and not strings, since a character may span tokens: it then belongs to the last of them.
"""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steering.models import LanguageModel

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def vocabulary(model: "LanguageModel") -> list[bytes]:
    """The bytes of every token as it stands inside a text; special tokens give their names."""
    names = model.tokenizer.convert_ids_to_tokens(list(range(len(model.tokenizer))))
    decoder = _decoder(model.tokenizer)
    anchor, before = _anchor(model)
    found = []
    for token, name in enumerate(names):
        byte = _BYTE.fullmatch(name or "") if "ByteFallback" in decoder else None
        if name is None or token in model.special_ids:
            found.append((name or "").encode())
        elif "ByteLevel" in decoder:
            found.append(b"".join(_from_byte_level(letter) for letter in name))
        elif byte:
            found.append(bytes([int(byte[1], 16)]))
        else:
            found.append(model.decode([*anchor, token])[before:].encode())
    return found


def _decoder(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return json.dumps(json.loads(backend.to_str()).get("decoder")) if backend is not None else ""


def _anchor(model: "LanguageModel") -> tuple[list[int], int]:
    """An ordinary token to stand in front, since at the start of a text a space is dropped."""
    for token in range(len(model.tokenizer)):
        text = "" if token in model.special_ids else model.decode([token])
        if text.strip().isalnum():
            return [token], len(text)
    return [], 0


def _letters() -> dict[str, int]:
    """What byte-level tokenizers write for each byte: itself where it is printable."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): b for i, b in enumerate(others)}


_LETTERS = _letters()


def _from_byte_level(letter: str) -> bytes:
    return bytes([_LETTERS[letter]]) if letter in _LETTERS else letter.encode()


def pieces(tokens: Iterable[int], spelled: Mapping[int, bytes]) -> tuple[str, ...]:
    """One readable piece for each token; a character that spans several belongs to the last."""
    reader = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return tuple(reader.decode(spelled.get(token, b"")) for token in tokens)


def as_word(spelled: bytes) -> str:
    """A token as it is searched for: without spaces around it and without case."""
    return spelled.decode(errors="ignore").strip().casefold()
