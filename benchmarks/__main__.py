"""Print every ratio as a table with the machine's name, beside its bar."""

import platform
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table
from transformers.utils import logging

from benchmarks.atlas import atlas_figures
from benchmarks.decode import decode_ratios
from benchmarks.exact import exactness
from benchmarks.map import map_figures
from benchmarks.memory import plan_megabytes
from benchmarks.page import page_figures
from benchmarks.result import Result


def main() -> None:
    """Measure and print."""
    logging.set_verbosity_error()
    print_table(
        [
            *decode_ratios(),
            plan_megabytes(),
            *atlas_figures(),
            *exactness(),
            *map_figures(),
            *page_figures(),
        ]
    )


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


if __name__ == "__main__":
    main()
