"""What pydantic found wrong, as one sentence a person can act on instead of a multi-line dump.

It says where the value stands, what was given and what is allowed. This module knows no field of
any schema by name.
"""

import difflib
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

LONGEST = 60
"""Characters of a given value that are shown."""


def explain_invalid(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first problem as a sentence without its full stop, and how many others there are.

    Args:
        error: What validating `schema` raised.
        schema: Whose field names are offered where an unknown one was given.
    """
    everything = error.errors(include_url=False)
    # Of a value that may have several types, the branch that went deepest is the one meant.
    problems = [p for p in everything if not _is_branch(p["loc"][-1:])] or everything
    others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_sentence(problems[0], schema)}{others}"


def _sentence(problem: ErrorDetails, schema: type[BaseModel]) -> str:
    loc, kind, message = problem["loc"], problem["type"], problem["msg"]
    where, given = _path(loc), _shown(problem["input"])
    if kind == "extra_forbidden":
        return _unknown_field(loc, schema)
    if kind == "json_invalid":
        return message
    if kind == "missing":
        return f"{where} is missing"
    if kind == "union_tag_invalid":
        return f"{where} is of no known kind; known are {problem.get('ctx', {})['expected_tags']}"
    if kind in ("value_error", "assertion_error"):
        # Our own validators: they already say what was given and what to do.
        said = message.partition(", ")[2]
        return f"{where} {said}" if where and said.startswith("is ") else _after(where, said)
    allowed = re.sub(r"^(Input|String|Value|List|Tuple) should ", "must ", message)
    return f"{where or 'it'} is {given} and {allowed}"


def _after(where: str, said: str) -> str:
    return f"{where}: {said}" if where else said


def _unknown_field(loc: Sequence[int | str], schema: type[BaseModel]) -> str:
    owner = _owner(loc[:-1], schema)
    name, within = str(loc[-1]), _path(loc[:-1])
    known = list(owner.model_fields) if owner else []
    close = difflib.get_close_matches(name, known, n=1)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    there = f"; it has {', '.join(known)}" if known else ""
    return f"there is no field {_shown(name)}{f' in {within}' if within else ''}{guess}{there}"


def _owner(loc: Sequence[int | str], schema: type[BaseModel]) -> type[BaseModel] | None:
    """The schema that lies at `loc`; indexes, dictionary keys and union tags are passed over."""
    found = [schema]
    for part in loc:
        here = [each.model_fields[part] for each in found if part in each.model_fields]
        if here:
            found = _schemas_in(here[0].annotation)
        elif len(found) > 1:
            tagged = [each for each in found if part in _tags(each)]
            found = tagged or found
    return found[0] if len(found) == 1 else None


def _schemas_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [schema for part in get_args(annotation) for schema in _schemas_in(part)]


def _tags(schema: type[BaseModel]) -> tuple[Any, ...]:
    kind = schema.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _is_branch(part: Sequence[int | str]) -> bool:
    """Whether pydantic means one of several allowed types there, such as `tuple[Message, ...]`."""
    return any(isinstance(each, str) and ("[" in each or each == "str") for each in part)


def _path(loc: Sequence[int | str]) -> str:
    """Where a value stands, as one would write it: `interventions[0].intervention.edit`."""
    named = [part for part in loc if not _is_branch([part])]
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in named]
    return "".join(parts).lstrip(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
