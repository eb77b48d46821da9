"""The command `steer demo`: the claims of the study on the bundled model, as a table and a card."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from steering.cli.report import dump_json, say_note
from steering.errors import SteeringError

if TYPE_CHECKING:
    from steering.demo.claims.results import ClaimResult, Report

MISSED = 1  # the exit code where a claim misses a bar
_PROCESSES = 4  # at most, of about a gigabyte each


def run_demo(
    *,
    only: tuple[str, ...],
    samples: int,
    seed: int | None,
    bundle: Path | None,
    presets: Path | None,
) -> "Report":
    """Measure the claims, with a bar on standard error.

    Raises:
        SteeringError: No such claim, no such bundle, or a preset of another SAE.
    """
    if samples < 1:
        raise SteeringError(f"{samples} samples were asked for. Ask for at least 1.")
    started = time.perf_counter()
    from steering.demo.processes import begin_import, processors

    if len(only) != 1 and (os.cpu_count() or 1) > 1:  # a single claim is measured here
        begin_import("steering.demo.claims.report")
    from steering.demo.claims import report

    unknown = [name for name in only if name not in report.claim_names()]
    if unknown:
        raise SteeringError(
            f"There is no claim {unknown[0]!r}. Claims are {', '.join(report.claim_names())}."
        )
    chosen = report.claim_presets(presets)
    names = only or report.claim_names()
    results: list[ClaimResult] = []
    measured = report.measure_at_once(
        bundle or report.BUNDLE,
        chosen,
        only=only,
        samples=samples,
        seed=report.FIRST_SEED if seed is None else seed,
        processes=min(_PROCESSES, processors()),
    )
    with typer.progressbar(measured, length=len(names), label="Claims", file=sys.stderr) as bar:
        results.extend(bar)
    session = report.opened(bundle or report.BUNDLE)
    return report.report_of(session, report.in_order(results), started)


def say_report(found: "Report", *, json: bool, markdown: bool) -> None:
    """Print the report and say how it ended."""
    from steering.demo.claims import table

    if json:
        typer.echo(dump_json(found.to_dict()))
    elif markdown:
        typer.echo(table.markdown(found.results))
    else:
        from rich.console import Console

        console = Console(width=None if Console().is_terminal else 160)
        console.print(table.table(found.results))
    say_note(
        f"{found.met} of {len(found.results)} claims keep to their bars; "
        f"{found.seconds:.0f} seconds."
    )


def write_card(found: "Report", path: Path) -> None:
    """Write the card, whole or not at all.

    Raises:
        SteeringError: It cannot be written there.
    """
    from steering.demo.claims.card import card
    from steering.saving import replace_file

    try:
        replace_file(path, card(found).encode())
    except OSError as error:
        raise SteeringError(
            f"The card cannot be written to {str(path)!r}: {error.strerror}. "
            "Give another place with --card."
        ) from error
    say_note(f"Card: {path}")
