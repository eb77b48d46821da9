"""Print every ratio as a table with the machine's name, beside its bar."""

from transformers.utils import logging

from benchmarks.atlas import atlas_figures
from benchmarks.decode import decode_ratios
from benchmarks.exact import exactness
from benchmarks.map import map_figures
from benchmarks.memory import plan_megabytes
from benchmarks.page import page_figures
from benchmarks.table import print_table


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


if __name__ == "__main__":
    main()
