"""What a person typed on the command line, parsed once into frozen values.

No file is looked at but a folder's existence and the messages named with @, and no model, SAE or
registry is loaded.

    2017=10                 clamp feature 2017 at 10 × its maximum
    2017                    the same: 10 is the default
    2017:add=0.5norm        another edit, in another unit (max_act, x, norm, raw)
    2017:scale=2            no unit
    2017:ablate             no strength
    alias/2017=10           a feature of one of several SAEs
    https://www.neuronpedia.org/gpt2-small/8-res-jb/2017=10      a pasted Neuronpedia address
    {"feature": 2017, "strength": 10, "schedule": {"kind": "decay", "tokens": 8}}
                            a whole intervention as JSON, with everything that its schema has
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steering.errors import AliasError, FeatureError, PromptError, StrengthError

if TYPE_CHECKING:
    from steering.interventions import Intervention, Positions
    from steering.requests import OnePrompt

DEFAULT_STRENGTH = 10.0
"""Of a feature given without an edit: what Templeton et al. 2024 clamp their features to."""

UNITS = {
    "": None,
    "max_act": "max_act",
    "max": "max_act",
    "x": "max_act",
    "×": "max_act",
    "norm": "norm",
    "raw": "raw",
}
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?neuronpedia\.org/"
    r"(?P<model>[^/?#=:\s]+)/(?P<source>[^/?#=:\s]+)/(?P<feature>-?\d{1,18})/?(?P<rest>.*)"
)
_PLAIN = re.compile(r"(?:(?P<alias>[^/=:\s]+)/)?(?P<feature>-?\d{1,18})(?P<rest>.*)")
_NUMBER = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?))\s*(?P<unit>.*)",
    re.IGNORECASE,
)
_FORMS = (
    "Write a feature as 2017=10 (clamp at 10 × its maximum), 2017:add=0.5norm, 2017:scale=2, "
    "2017:ablate, alias/2017=10, a Neuronpedia address, or an intervention as a JSON object."
)
_CHAT_FORM = 'Write them as [{"role": "user", "content": "hi"}], or name a file with @file.json.'


@dataclass(frozen=True)
class FeatureFlag:
    """One `-f` as typed: which feature, whose, and what to do with it."""

    feature: int
    edit: str = "clamp"
    strength: float | None = None
    unit: str | None = None
    alias: str | None = None
    neuronpedia_id: str | None = None
    """Of a pasted address: `gpt2-small/8-res-jb`."""


@dataclass(frozen=True)
class SaeFlag:
    """One `--sae` as typed."""

    source: str | tuple[str, str]
    alias: str | None = None


def parse_feature(text: str) -> FeatureFlag:
    """Read one `-f`.

    Raises:
        FeatureError: Not of a known form.
        StrengthError: The number or its unit cannot be read.
    """
    asked = text.strip()
    address = _ADDRESS.fullmatch(asked)
    found = address or _PLAIN.fullmatch(asked)
    if found is None:
        raise FeatureError(f"Cannot read the feature {text!r}. {_FORMS}")
    feature = int(found["feature"])
    if feature < 0:
        raise FeatureError(
            f"Feature {feature} in {text!r} is negative, and features count from 0. "
            "Check the index; a negative strength suppresses a feature: 2017=-3."
        )
    rest = _without_query(found["rest"]) if address else found["rest"]
    edit, strength, unit = _parse_edit(rest, text)
    source = f"{found['model']}/{found['source']}" if address else None
    alias = None if address else found["alias"]
    return FeatureFlag(feature, edit, strength, unit, alias, source)


def _without_query(rest: str) -> str:
    """Drop `?embed=true` and `#…` of an address; behind them an edit can only begin with a colon.

    A query holds `=` itself, so `?a=1` must not be read as a strength.
    """
    return re.sub(r"^[?#][^:]*", "", rest)


def _parse_edit(rest: str, text: str) -> tuple[str, float | None, str | None]:
    """Read `=10`, `:add=0.5norm`, `:ablate`, or nothing."""
    form = re.fullmatch(r"(?::\s*(?P<edit>[a-z_]+))?\s*(?:=(?P<amount>.*))?", rest, re.DOTALL)
    if form is None:
        raise FeatureError(f"Cannot read {rest!r} in the feature {text!r}. {_FORMS}")
    edit, amount = form["edit"] or "clamp", form["amount"]
    if amount is None:
        return edit, None if form["edit"] else DEFAULT_STRENGTH, None
    return edit, *_parse_amount(amount, text)


def _parse_amount(amount: str, text: str) -> tuple[float, str | None]:
    found = _NUMBER.fullmatch(amount.strip())
    if found is None:
        raise StrengthError(
            f"Cannot read the strength {amount!r} in {text!r}. Write a number, and a unit behind "
            "it where it is not multiples of the maximum: 10, -3, 0.5norm, 12raw."
        )
    unit = found["unit"].lower()
    if unit not in UNITS:
        known = ", ".join(unit for unit in UNITS if unit)
        raise StrengthError(
            f"There is no unit {found['unit']!r} (in {text!r}). Units are {known}: multiples of "
            "the feature's maximum (max_act, max, x), fractions of the median residual norm, or "
            "raw activation. Use one of them, or none for multiples of the maximum."
        )
    return float(found["number"]), UNITS[unit]


def intervention_of(flag: FeatureFlag, text: str, positions: "Positions") -> "Intervention":
    """The intervention that a `-f` asks for; `text` is what was typed, for the error.

    Raises:
        StrengthError: An edit, strength or unit that do not go together.
    """
    from pydantic import ValidationError

    from steering.interventions import Intervention
    from steering.invalid import explain_invalid

    asked = {"edit": flag.edit, "strength": flag.strength, "unit": flag.unit, "sae": flag.alias}
    try:
        return Intervention.model_validate(
            {"feature": flag.feature, "positions": positions, **asked}
        )
    except ValidationError as error:
        problem = explain_invalid(error, Intervention)
        raise StrengthError(f"Cannot use the feature {text!r}: {problem}. {_FORMS}") from error


def parse_intervention(text: str, positions: "Positions | None") -> "Intervention":
    """Read a `-f` that is a JSON object; positions given beside it replace its own.

    Raises:
        FeatureError: It is not valid JSON, or no intervention.
    """
    from pydantic import ValidationError

    from steering.interventions import Intervention
    from steering.invalid import explain_invalid

    try:
        read = Intervention.model_validate_json(text)
    except ValidationError as error:
        problem = explain_invalid(error, Intervention)
        raise FeatureError(
            f"Cannot read the intervention {text!r}: {problem}. Correct that."
        ) from error
    return read if positions is None else read.model_copy(update={"positions": positions})


def parse_messages(text: str) -> "OnePrompt":
    """Read `--messages`: a JSON list of chat messages, or `@` and the file that holds one.

    Raises:
        PromptError: The file cannot be read, or holds no such list.
    """
    from steering.requests import one_prompt

    try:
        json_text = Path(text[1:]).expanduser().read_text("utf-8") if text[:1] == "@" else text
        chat = json.loads(json_text)
    except OSError as error:
        raise PromptError(
            f"Cannot read the messages in {text[1:]!r}: {error.strerror}. Check the path."
        ) from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"The messages are not valid JSON: {error}. {_CHAT_FORM}") from error
    if not isinstance(chat, list):
        raise PromptError(f"The messages are a {type(chat).__name__}, not a list. {_CHAT_FORM}")
    return one_prompt(chat)


def parse_sae(text: str) -> SaeFlag:
    """Read one `--sae`: `RELEASE:SAE_ID`, a folder, either behind `ALIAS=`.

    Raises:
        AliasError: Not of a known form.
    """
    named = re.fullmatch(r"(?P<alias>[\w.-]+)=(?P<source>.+)", text)
    alias, source = (named["alias"], named["source"]) if named else (None, text)
    if Path(source).expanduser().is_dir() or re.match(r"[./~]", source):
        return SaeFlag(source, alias)
    release, colon, sae_id = source.partition(":")
    if colon and release and sae_id:
        return SaeFlag((release, sae_id), alias)
    raise AliasError(
        f"Cannot read the SAE {text!r}: it is no folder here, and no RELEASE:SAE_ID. Write one "
        "like gpt2-small-res-jb:blocks.8.hook_resid_pre, or the path of a folder; in front of it "
        "ALIAS= where several are loaded."
    )


def name_saes(flags: Sequence[SaeFlag], only: str) -> dict[str, str | tuple[str, str]]:
    """SAEs by alias; a single one needs none.

    Raises:
        AliasError: Several without aliases, or one alias twice.
    """
    if len(flags) == 1:
        return {flags[0].alias or only: flags[0].source}
    named: dict[str, str | tuple[str, str]] = {}
    for flag in flags:
        if flag.alias is None:
            raise AliasError(
                f"{len(flags)} SAEs are given, and {flag.source!r} has no alias. "
                "Write --sae ALIAS=… for each, and -f ALIAS/2017=10."
            )
        if flag.alias in named:
            raise AliasError(f"The alias {flag.alias!r} is given to two SAEs. Rename one.")
        named[flag.alias] = flag.source
    return named
