"""What came out of a decode, as data: it reaches no model and no SAE."""

import html
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from steering.interventions import Message, Resolved, Sampling

Finish = Literal["eos", "stop", "length", "context", "interrupted"]

BASELINE = "baseline"


@dataclass(frozen=True)
class NewToken:
    """One row's part of a step."""

    row: int
    name: str
    token_id: int
    text: str
    """What became readable; may be empty in the middle of a character, or longer than the token."""
    logprob: float
    """Natural log, under the (steered) model itself: before temperature and penalties."""
    finish: Finish | None


@dataclass(frozen=True)
class Step:
    """Every running row advanced by one token."""

    index: int
    tokens: tuple[NewToken, ...]


@dataclass(frozen=True)
class Liveness:
    """Evidence that the edits of one row really acted.

    Attributes:
        hook_calls: How often a hook fired while the row was running.
        tokens_steered: Positions whose stream changed after the cast to the model's dtype.
        steered_positions: Which, in absolute positions of the row.
        max_delta_ratio: The largest ||delta|| / ||stream|| at any of them.
        first_difference: The first step at which the next-token distribution differed from the
            baseline's on the same tokens; None without a baseline beside it, or where none did.
        kl: KL(row || baseline) in nats at that step.
        notes: What a reader should know, such as an edit that found its feature nowhere.
    """

    hook_calls: int = 0
    tokens_steered: int = 0
    steered_positions: tuple[int, ...] = ()
    max_delta_ratio: float = 0.0
    first_difference: int | None = None
    kl: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One text as it came out."""

    name: str
    prompt: str | tuple[Message, ...]
    prompt_format: str
    prompt_ids: tuple[int, ...]
    seed: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish
    interventions: tuple[Resolved, ...] = ()
    liveness: Liveness = field(default_factory=Liveness)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        if not isinstance(self.prompt, str):
            plain["prompt"] = [message.model_dump() for message in self.prompt]
        plain["interventions"] = [_resolved_dict(item) for item in self.interventions]
        return plain


def _resolved_dict(item: Resolved) -> dict[str, Any]:
    plain = item.model_dump(mode="json", exclude={"intervention"})
    return {**item.intervention.model_dump(mode="json"), **plain}


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds, and tokens of all rows together."""

    seconds: float
    first_token_seconds: float
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        """Of all rows together."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Comparison:
    """Rows of one decode: for every prompt and sample the baseline, then every variant of it.

    In a notebook it shows itself as a side-by-side table.
    """

    model: dict[str, Any]
    saes: dict[str, dict[str, Any]]
    sampling: Sampling
    timing: Timing
    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()

    @property
    def baseline(self) -> Row:
        """The first unsteered row."""
        return next(row for row in self.rows if row.name == BASELINE)

    @property
    def steered(self) -> Row:
        """The first steered row."""
        return next(row for row in self.rows if row.name != BASELINE)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: model, saes, sampling, timing, rows, warnings."""
        timing = {**asdict(self.timing), "tokens_per_second": self.timing.tokens_per_second}
        return {
            "model": self.model,
            "saes": self.saes,
            "sampling": self.sampling.model_dump(mode="json"),
            "timing": timing,
            "rows": [row.to_dict() for row in self.rows],
            "warnings": list(self.warnings),
        }

    def to_markdown(self) -> str:
        """A Markdown table with one column a name and one line a prompt and sample."""
        names, lines = self._table()
        cells = [[_markdown_cell(text) for text in line] for line in lines]
        head = ["prompt", *(_markdown_cell(name) for name in names)]
        table = [head, ["---"] * len(head), *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in table)

    def _repr_html_(self) -> str:
        names, lines = self._table()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ["prompt", *names])
        style = 'style="text-align:left;vertical-align:top;white-space:pre-wrap"'
        body = "".join(
            "<tr>" + "".join(f"<td {style}>{html.escape(text)}</td>" for text in line) + "</tr>"
            for line in lines
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Column names, and for each prompt and seed its prompt and texts."""
        names = list(dict.fromkeys(row.name for row in self.rows))
        groups: dict[tuple[str, int], dict[str, str]] = {}
        for row in self.rows:
            groups.setdefault((_prompt_text(row.prompt), row.seed), {})[row.name] = row.text
        return names, [
            [prompt, *(texts.get(name, "") for name in names)]
            for (prompt, _), texts in groups.items()
        ]


def _prompt_text(prompt: str | tuple[Message, ...]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{message.role}: {message.content}" for message in prompt)


def _markdown_cell(text: str) -> str:
    escaped = html.escape(text, quote=False).replace("\\", "\\\\").replace("|", "\\|")
    return escaped.strip().replace("\n", "<br>")
