"""A language model behind an OpenAI-compatible address, asked one thing at a time.

Standard library only: one POST to `…/chat/completions`. It knows no feature.
"""

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from steering.errors import AtlasError

PATIENCE = 120.0
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_HERE = ("localhost", "127.0.0.1", "::1")
_BUSY = (429, 503)
_WAITS = (1.0, 4.0, 16.0, 64.0)  # seconds before asking a busy one again


@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and whom."""

    address: str
    """Up to `/v1`."""
    model: str
    key: str | None = None

    def __post_init__(self) -> None:
        """Refuse to send a key in the open: one in the environment is easily forgotten."""
        parts = urlsplit(self.address)
        if self.key and parts.scheme != "https" and parts.hostname not in _HERE:
            raise AtlasError(
                f"The key would go to {self.address!r} for all to read. Give an https address, or "
                "no key (unset OPENAI_API_KEY)."
            )

    def ask(self, system: str, user: str, *, most_tokens: int = 2_000) -> str:
        """The answer to one question, at temperature 0.

        What a model thinks aloud before it answers (`<think>…</think>`) is no part of it.

        Raises:
            AtlasError: The address cannot be reached, refuses, answers in another form, or used up
                its tokens before it answered.
        """
        body = {
            "model": self.model,
            "temperature": 0,
            "max_tokens": most_tokens,
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": user},
            ],
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = f"{self.address.rstrip('/')}/chat/completions"
        try:
            asked = urllib.request.Request(address, json.dumps(body).encode(), headers)
            with _answer(asked) as answer:
                data = json.load(answer)
            choice = data["choices"][0]
            said = _THOUGHT.sub("", str(choice["message"]["content"] or "")).strip()
            cut = choice.get("finish_reason") == "length"
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace")
            raise AtlasError(
                f"{address!r} refused ({error.code}): {said!r}. Check the address, the model "
                f"{self.model!r} and the key."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise AtlasError(f"{address!r} cannot be reached: {error}. Check it.") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise AtlasError(
                f"{address!r} does not answer as an OpenAI-compatible endpoint does ({error!r}). "
                "Check the address; it usually ends in /v1."
            ) from error
        if cut and not said:
            raise AtlasError(
                f"{self.model!r} used up {most_tokens:,} tokens before it answered. Give a model "
                "that answers without thinking for so long."
            )
        return said


def _answer(asked: urllib.request.Request) -> http.client.HTTPResponse:
    """The answer, waited for where too much is asked of the endpoint, as long as it says."""
    for usual in _WAITS:
        try:
            return urllib.request.urlopen(asked, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            said = error.headers.get("Retry-After", "")
            wait = float(said) if said.isdigit() else usual
            if error.code not in _BUSY or wait > PATIENCE:
                raise
            error.close()
            time.sleep(wait)
    return urllib.request.urlopen(asked, timeout=PATIENCE)
