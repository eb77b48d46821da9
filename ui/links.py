"""A page's state in an address: `?s=` with base64url(zlib(JSON)), versioned and bounded."""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from steering.errors import SteeringError
from steering.invalid import explain_invalid
from ui.rack import refuse_files
from ui.state import STATE_VERSION, PageState

PARAMETER = "s"
MOST_CHARACTERS = 16_000
"""Servers and chat programs cut longer addresses."""
MOST_BYTES = 1_000_000
"""A short link can unpack to gigabytes of zeros; this much is read of it."""


class LinkError(SteeringError, ValueError):
    """A link cannot be made or read."""


def write_link(state: PageState) -> str:
    """The value of the address's `s`.

    Raises:
        LinkError: The state does not fit into an address.
    """
    refuse_files(state.interventions)
    plain = state.model_dump(mode="json", exclude_defaults=True)
    data = json.dumps({"version": STATE_VERSION, **plain}, separators=(",", ":"))
    packed = base64.urlsafe_b64encode(zlib.compress(data.encode(), 9)).decode().rstrip("=")
    if len(packed) > MOST_CHARACTERS:
        raise LinkError(
            f"The link would take {len(packed):,} characters, and {MOST_CHARACTERS:,} are the most "
            "that gets through. Shorten the prompt or the chat, or export a preset file."
        )
    return packed


def read_link(packed: str) -> PageState:
    """The state in an address.

    Raises:
        LinkError: Cut, of a newer version, or no link of this page.
    """
    data = _unpack(packed)
    version = data.get("version")
    if isinstance(version, int) and version > STATE_VERSION:
        raise LinkError(
            f"This link has version {version}, and this program reads version {STATE_VERSION}. "
            "Update the program."
        )
    try:
        state = PageState.model_validate(data)
        refuse_files(state.interventions)
        return state
    except ValidationError as error:
        raise LinkError(
            f"This link cannot be used: {explain_invalid(error, PageState)}. "
            "Ask for a new link, or for a preset file."
        ) from error


def _unpack(packed: str) -> dict[str, object]:
    broken = LinkError("This link is cut or broken. Copy it whole, or ask for a new one.")
    if len(packed) > MOST_CHARACTERS:
        raise broken
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(raw, MOST_BYTES)
        data = json.loads(text) if unpacker.eof else None
        # Half a surrogate pair passes as JSON, and then neither tokenizer nor browser takes it.
        json.dumps(data, ensure_ascii=False).encode()
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise broken from error
    if not isinstance(data, dict):
        raise broken
    return data


def same_saes(page: Mapping[str, Any], model: str, saes: Mapping[str, str]) -> bool:
    """Whether what a page was made on is this model, by any of its names, with these SAEs."""
    from steering.pairing import same_model

    return page["saes"] == saes and same_model(page["model"], model)


def require_same_saes(state: PageState, model: str, saes: dict[str, str]) -> None:
    """Refuse a state that was made on another model or SAE: its numbers mean something else here.

    Raises:
        LinkError: The state is of another model, or of other SAEs.
    """
    if same_saes({"model": state.model, "saes": state.saes}, model, saes):
        return
    asked, loaded = ", ".join(state.saes) or "none", ", ".join(saes) or "none"
    other = "with another SAE" if state.saes != saes else "another model"
    raise LinkError(
        f"This was made on {state.model!r} (SAEs: {asked}), {other}; loaded is {model!r} (SAEs: "
        f"{loaded}). Reload the page to use what is loaded, or start it with that model and SAE."
    )
