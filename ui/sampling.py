"""How tokens are chosen: the page's own controls for `Sampling`."""

import re
from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.errors import StrengthError
from steering.interventions import Sampling
from steering.invalid import explain_invalid

NAMES = (
    "max_new_tokens",
    "temperature",
    "top_p",
    "min_p",
    "repetition_penalty",
    "seed",
    "top_k",
    "stop",
    "stop_at_eos",
)

ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})
"""A stop text stands on a line of its own, so a line's end within one is spelled as in Python."""
_ESCAPED = re.compile(r"\\([\\nr])")


def _plain(found: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(found[1], found[1])


def sampling_of(*values: Any) -> Sampling:
    """What the controls say, in the order of NAMES.

    Raises:
        StrengthError: A number out of its range.
    """
    said = dict(zip(NAMES, values, strict=True))
    said["stop"] = [_ESCAPED.sub(_plain, each) for each in (said["stop"] or "").split("\n") if each]
    # What the sliders show for "no such limit".
    said["top_p"] = None if said["top_p"] == 1 else said["top_p"]
    said["min_p"] = said["min_p"] or None
    said["top_k"] = said["top_k"] or None
    try:
        return Sampling.model_validate(said)
    except ValidationError as error:
        problem = explain_invalid(error, Sampling)
        raise StrengthError(f"Cannot write like that: {problem}. Correct the settings.") from error


def values_of(sampling: Sampling) -> list[Any]:
    """What the controls show, in the order of NAMES."""
    said = sampling.model_dump()
    said["stop"] = "\n".join(each.translate(ESCAPES) for each in sampling.stop)
    said["top_p"] = 1.0 if sampling.top_p is None else sampling.top_p
    said["min_p"] = sampling.min_p or 0.0
    said["top_k"] = sampling.top_k or 0
    said["seed"] = str(sampling.seed)
    return [said[name] for name in NAMES]


def controls() -> list[Any]:
    """The Gradio controls, in the order of NAMES."""
    first = Sampling()
    return [
        # Boxes where the schema has no upper end: Gradio refuses what lies beyond a slider's.
        gr.Number(
            first.max_new_tokens, label="New tokens", precision=0, minimum=1, interactive=True
        ),
        gr.Number(
            first.temperature,
            label="Temperature (0: greedy)",
            step=0.05,
            minimum=0,
            interactive=True,
        ),
        gr.Slider(0, 1, 1.0, step=0.01, label="Top-p (1: off)", interactive=True),
        gr.Slider(0, 1, 0.0, step=0.01, label="Min-p (0: off)", interactive=True),
        gr.Number(1.0, label="Repetition penalty (1: off)", step=0.05, interactive=True),
        # A text, since the browser's numbers lose the last digits of a long seed.
        gr.Textbox("0", label="Seed", max_lines=1, interactive=True, elem_id="seed"),
        gr.Number(0, label="Top-k (0: off)", precision=0, minimum=0, interactive=True),
        gr.Textbox(label="Stop texts, one a line (\\n: a new line)", lines=2, interactive=True),
        gr.Checkbox(True, label="Stop at the end token", interactive=True),
    ]
