"""The claims as a table: for a terminal, and as Markdown for the README."""

from collections.abc import Sequence

from rich.table import Table

from steering.demo.claims.results import Cell, ClaimResult

_CELLS = ("unsteered", "steered", "random", "feature")
_HEADS = ("claim", "unsteered", "steered", "random direction", "other feature", "surprise", "met")


def table(results: Sequence[ClaimResult]) -> Table:
    """For a terminal: shares with their 95 % intervals, then every figure with its bar."""
    found = Table(show_lines=True)
    for head in _HEADS:
        found.add_column(head)
    for result in results:
        found.add_row(*_line(result, "\n"))
    return found


def markdown(results: Sequence[ClaimResult]) -> str:
    """The same as a Markdown table."""
    lines = [f"| {' | '.join(_HEADS)} |", "|" + "---|" * len(_HEADS)]
    lines += [f"| {' | '.join(_line(result, '<br>'))} |" for result in results]
    return "\n".join(lines)


def _line(result: ClaimResult, newline: str) -> list[str]:
    cells = [result.cells.get(name) for name in _CELLS]
    said = newline.join([result.study, *_figures(result)])
    shares = [_share(cell, newline) if cell else "" for cell in cells]
    steered = result.cells.get("steered")
    plain = result.cells.get("unsteered")
    surprise = (
        f"{plain.surprise:.2f} → {steered.surprise:.2f}{newline}repeats {steered.repetition:.0%}"
        if steered and plain
        else ""
    )
    return [said, *shares, surprise, "yes" if result.met else "MISSED"]


def _figures(result: ClaimResult) -> list[str]:
    """The figures that no cell shows, and the bars of those that one does."""
    return [
        f"{outcome.says} {outcome.bar}"
        if outcome.says in result.cells
        else f"{outcome.says}: {outcome.value} ({outcome.bar})"
        for outcome in result.outcomes
    ]


def _share(cell: Cell, newline: str) -> str:
    low, high = cell.rate.interval
    return f"{cell.rate.share:.1%}{newline}[{low:.0%}, {high:.0%}]"
