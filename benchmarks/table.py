"""Figures as a table beside their bars, and the command that prints some of them."""

import argparse
import platform
from collections.abc import Sequence
from typing import Protocol

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.result import Result


class Figures(Protocol):
    """Measures; where small, at a size that takes a minute."""

    def __call__(self, *, small: bool = False) -> list[Result]: ...


def command(figures: Figures, about: str | None) -> None:
    """Measure as the command line asks, and print the table."""
    asked = argparse.ArgumentParser(description=about)
    asked.add_argument("--small", action="store_true")
    print_table(figures(small=asked.parse_args().small))


def print_table(results: Sequence[Result]) -> None:
    """A line for each figure, beside its bar."""
    where = f"{platform.node()}: {platform.processor() or platform.machine()}"
    table = Table(title=f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for column in ("what", "measured", "bar", ""):
        table.add_column(column)
    for row in results:
        met = row.value >= row.bar if row.at_least else row.value <= row.bar
        bar = f"{'at least' if row.at_least else 'at most'} {row.bar:g}"
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", bar, "met" if met else "MISSED")
    Console(width=140).print(table)
