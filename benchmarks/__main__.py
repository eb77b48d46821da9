"""Print every ratio beside its bar, a table for each part as soon as it is measured.

A part that fails (without a browser, say) says why, and the others are measured all the same.
"""

import sys
import traceback
from collections.abc import Callable, Mapping

from transformers.utils import logging

from benchmarks.atlas import atlas_figures
from benchmarks.decode import decode_ratios
from benchmarks.exact import exactness
from benchmarks.map import map_figures
from benchmarks.memory import plan_megabytes
from benchmarks.page import page_figures
from benchmarks.result import Result
from benchmarks.table import print_table

PARTS: Mapping[str, Callable[[], list[Result]]] = {
    "decode": decode_ratios,
    "memory": lambda: [plan_megabytes()],
    "atlas": atlas_figures,
    "exactness": exactness,
    "map": map_figures,
    "page": page_figures,
}


def main() -> int:
    """Measure and print; 1 where a part could not be measured."""
    logging.set_verbosity_error()
    failed = []
    for name, measure in PARTS.items():
        try:
            print_table(measure())
        except Exception:
            traceback.print_exc()
            failed.append(name)
    if failed:
        sys.stderr.write(f"Not measured: {', '.join(failed)}. See above.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
