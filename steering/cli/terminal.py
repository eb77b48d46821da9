"""What a person sees of a comparison: two columns in a terminal, plain sections in a pipe.

Texts that models write are never read as markup, and in a terminal their control characters are
made visible: a model can write an escape sequence. This module reads records and decodes nothing.
"""

import time
import unicodedata
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from steering.records import BASELINE, Comparison, Row

REFRESH_SECONDS = 0.08
"""Faster than the eye needs costs decode time on a small machine."""
CHROME_LINES = 6
"""Lines of a terminal that headings and rules take while the texts grow."""


def visible(text: str) -> str:
    """The text with control and direction-changing characters shown instead of obeyed."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    code = ord(character)
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    # Joiners inside emoji and scripts are harmless; overrides of the writing direction are not.
    if unicodedata.category(character) == "Cf" and not _turns_direction(code):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _turns_direction(code: int) -> bool:
    return 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def heading(row: Row) -> str:
    """`baseline`, or `steered` with every edit in words."""
    edits = [
        item.intervention.label()
        + ("" if item.raw is None or item.intervention.unit == "raw" else f" = {item.raw:.4g} raw")
        for item in row.interventions
    ]
    return f"{row.name}: {'; '.join(edits)}" if edits else row.name


def liveness_line(row: Row) -> str:
    """The evidence that a row's edits really acted, in one line."""
    live = row.liveness
    if live.kl is None or live.first_difference is None:
        against = "no difference from the baseline seen"
    else:
        against = f"KL {live.kl:.2g} nats at new token {live.first_difference + 1}"
    return (
        f"hook fired {live.hook_calls} times, {live.tokens_steered} tokens steered, "
        f"largest ‖Δ‖/‖resid‖ {live.max_delta_ratio:.2g}, {against}"
    )


def pairs(comparison: Comparison) -> Iterator[tuple[Row, Row]]:
    """Each steered row beside the unsteered one of its prompt and seed."""
    baseline = comparison.rows[0]
    for row in comparison.rows:
        if row.name == BASELINE:
            baseline = row
        else:
            yield baseline, row


def plain(comparison: Comparison) -> str:
    """The whole comparison as plain sections, for pipes and files."""
    sections = []
    several = len(comparison.rows) > 2
    for baseline, steered in pairs(comparison):
        mark = f" (seed {steered.seed})" if several else ""
        sections += [
            f"## baseline{mark}\n\n{baseline.text}\n",
            f"## {heading(steered)}{mark}\n\n{steered.text}\n",
            "\n".join([f"> {liveness_line(steered)}", *_notes(steered)]) + "\n",
        ]
    return "\n".join(sections)


def _notes(row: Row) -> list[str]:
    notes = [f"> {note}" for note in row.liveness.notes]
    return [*notes, "> interrupted"] if row.finish == "interrupted" else notes


def columns(comparison: Comparison, *, lines: int | None = None, width: int = 80) -> Table:
    """Baseline and steered side by side; of each text only the last `lines` while it grows."""
    table = Table(expand=True, show_lines=len(comparison.rows) > 2)
    found = list(pairs(comparison))
    for title, style in (("baseline", "bold"), (heading(found[0][1]), "bold yellow")):
        table.add_column(Text(visible(title), style=style), ratio=1, overflow="fold")
    for baseline, steered in found:
        table.add_row(*(_tail(row.text, lines, width // 2 - 4) for row in (baseline, steered)))
    return table


def _tail(text: str, lines: int | None, width: int) -> Text:
    """The last lines of a text as they wrap, or all of it."""
    shown = Text(visible(text).lstrip())
    if lines is None:
        return shown
    wrapped = shown.wrap(Console(width=width), max(width, 8))
    return Text("\n").join(wrapped[-lines:])


def footer(comparison: Comparison) -> RenderableType:
    """The liveness of every steered row."""
    lines = []
    for _, steered in pairs(comparison):
        lines += [liveness_line(steered), *(note.removeprefix("> ") for note in _notes(steered))]
    return Group(*(Text(visible(line), style="dim") for line in lines))


class LiveColumns:
    """Two columns that grow while a comparison is written; leaves the whole of it on the screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown = -REFRESH_SECONDS

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    @property
    def due(self) -> bool:
        """Whether enough time has passed to draw again."""
        return time.monotonic() - self._shown >= REFRESH_SECONDS

    def show(self, comparison: Comparison) -> None:
        """Draw what was written so far, as much of its end as fits the screen."""
        count = max(1, len(comparison.rows) // 2)
        room = max(1, (self._console.height - CHROME_LINES) // count - 1)
        table = columns(comparison, lines=room, width=self._console.width)
        self._live.update(table, refresh=True)
        self._shown = time.monotonic()
