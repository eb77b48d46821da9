"""The page's state in other forms: a command, a Python script, and a request with curl.

Each runs on its own and writes what the page wrote; the preset file is `ui.gallery.preset_of`.
"""

import json
import shlex
from pprint import pformat
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from steering.cli.parse import intervention_of, parse_feature
from steering.errors import FeatureError, SteeringError
from steering.interventions import Intervention, Positions, Sampling
from steering.presets import use
from steering.requests import STEERED
from ui.state import PageState, prompt_of, reopened, row_requests

if TYPE_CHECKING:
    from steering.sae import Sae
    from steering.session import Session

SHORT_UNITS = {"max_act": "", "norm": "norm", "raw": "raw", None: ""}


def as_command(state: PageState, session: "Session") -> str:
    """A `steer compare` command for the unsteered and the steered side.

    Raises:
        FeatureError: No edit is switched on.
    """
    asked = reopened(state)
    if not asked.acting:
        raise FeatureError("No feature is switched on. Add one, or pick a preset.")
    prompt = prompt_of(asked, STEERED)
    words = ["steer", "compare"]
    if not isinstance(prompt, str):
        words += ["--messages", json.dumps([each.model_dump() for each in prompt])]
    words += place_flags(session)
    for each in asked.acting:
        words += ["-f", _feature_flag(each)]
    words += _sampling_flags(asked.sampling)
    if isinstance(prompt, str):
        words += ["--", prompt] if prompt.startswith("-") else [prompt]
    return shlex.join(words)


def place_flags(session: "Session") -> list[str]:
    """Nothing for the bundled model; else which model and SAEs to load."""
    if is_bundled(session):
        return []
    words = ["--model", use.lasting_model_name(session)]
    for alias, sae in session.saes.items():
        words += ["--sae", f"{alias}={':'.join(_source_of(sae))}"]
    return words


def is_bundled(session: "Session") -> bool:
    """Whether `Session.demo()` gives this session again."""
    return bool(session.saes) and all(map(use.is_bundled, session.saes.values()))


def _source_of(sae: "Sae") -> tuple[str, ...]:
    """`(release, sae_id)` or `(folder,)`."""
    if isinstance(sae.source, tuple):
        return sae.source
    if sae.folder is None:
        raise SteeringError(
            f"SAE {sae.name!r} comes from no release and no folder, so nothing can load it again. "
            "Save it with save_model() and load it from there."
        )
    return (str(sae.folder.resolve()),)


def _feature_flag(edit: Intervention) -> str:
    """The short form where it says everything, else the intervention as JSON."""
    amount = "" if edit.strength is None else f"={edit.strength!r}{SHORT_UNITS[edit.unit]}"
    alias = f"{edit.sae}/" if edit.sae else ""
    short = f"{alias}{edit.feature}{'' if edit.edit == 'clamp' else f':{edit.edit}'}{amount}"
    try:
        says_all = intervention_of(parse_feature(short), short, Positions()) == edit
    except SteeringError:  # a plain direction, or an alias that only JSON can spell
        says_all = False
    return short if says_all else _json(edit)


def _json(model: BaseModel) -> str:
    return model.model_dump_json(exclude_defaults=True)


def _sampling_flags(sampling: Sampling) -> list[str]:
    words: list[str] = []
    for name, value in sampling.model_dump(exclude_defaults=True).items():
        flag = f"--{name.replace('_', '-')}"
        if name == "stop_at_eos":
            words.append("--no-stop-at-eos")
        elif isinstance(value, tuple):
            words += [word for each in value for word in (flag, each)]
        else:
            words += [flag, repr(value)]
    return words


def as_script(state: PageState, session: "Session") -> str:
    """A Python program that writes every pane again."""
    rows = []
    for row in row_requests(reopened(state)):
        prompt: Any = row.prompt
        if not isinstance(prompt, str):
            prompt = [each.model_dump() for each in prompt]  # type: ignore[union-attr]
        edits = [each.model_dump(mode="json", exclude_defaults=True) for each in row.interventions]
        rows.append((row.name, prompt, edits))
    sampling = state.sampling.model_dump(mode="json", exclude_defaults=True)
    return f'''"""Written by the steering playground: every pane, from one batched decode."""

from steering import Intervention, Sampling, Session
from steering.requests import RowRequest

session = {_loading(session)}
rows = {pformat(rows, width=96, sort_dicts=False)}
stream = session.stream_rows(
    [
        RowRequest(name, prompt, [Intervention.model_validate(edit) for edit in edits])
        for name, prompt, edits in rows
    ],
    Sampling.model_validate({pformat(sampling, width=70, sort_dicts=False)}),
    allow_inert=True,
)
for step in stream:
    pass  # step.tokens are the new tokens of every row
for warning in stream.comparison.warnings:
    print("Warning:", warning)
for row in stream.comparison.rows:
    live = row.liveness
    print(f"{{row.name}}: {{row.text}}")
    print(f"    hook fired {{live.hook_calls}} times, {{live.tokens_steered}} tokens steered")
'''


def _loading(session: "Session") -> str:
    if is_bundled(session):
        return "Session.demo()"
    saes = {
        alias: source if len(source := _source_of(sae)) == 2 else source[0]
        for alias, sae in session.saes.items()
    }
    return f"Session.load({use.lasting_model_name(session)!r}, {saes!r})"


def as_curl(state: PageState, address: str) -> str:
    """A request to this running page's `compare`; the last line printed is the whole record."""
    asked = reopened(state)
    prompt: Any = prompt_of(asked, STEERED)
    if not isinstance(prompt, str):
        prompt = [each.model_dump() for each in prompt]
    edits = [each.model_dump(mode="json", exclude_defaults=True) for each in asked.acting]
    sampling = asked.sampling.model_dump(mode="json", exclude_defaults=True)
    body = shlex.quote(json.dumps({"data": [prompt, edits, sampling]}))
    call = f"{address.rstrip('/')}/gradio_api/call/compare"
    return (
        f"curl -s {call} -H 'Content-Type: application/json' -d {body} \\\n"
        '  | sed \'s/.*"event_id": *"\\([^"]*\\)".*/\\1/\' \\\n'
        f"  | xargs -I ID curl -sN {call}/ID"
    )
