"""What the command line says and how it ends: errors in words, exit codes, texts as they come.

0 is fine, 1 what `doctor` finds off, 2 an error raised on purpose, 130 an interruption.
"""

import json as json_module
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import typer

from steering.errors import InertSteeringError, SteeringError

if TYPE_CHECKING:
    from steering.records import Comparison
    from steering.stream import Stream

BAD_INPUT, INTERRUPTED = 2, 130


@contextmanager
def reporting() -> Iterator[None]:
    """Run a command: errors raised on purpose and Ctrl-C end it with a message and an exit code."""
    _print_anything()
    try:
        yield
    except SteeringError as error:
        say_error(str(error))
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as error:
        say_error("Interrupted.")
        raise typer.Exit(INTERRUPTED) from error


def _print_anything() -> None:
    """Replace what an output's encoding lacks: a text must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """One line on standard output, in which nothing commands the terminal."""
    from steering.cli.terminal import visible

    typer.echo(visible(line))


def say_error(message: str) -> None:
    """One message on standard error, red in a terminal."""
    from steering.cli.terminal import visible

    typer.secho(visible(message), fg="red", err=True)


def say_warnings(warnings: Sequence[str]) -> None:
    """Warnings on standard error, each once."""
    from steering.cli.terminal import visible

    for warning in dict.fromkeys(warnings):
        typer.secho(f"Warning: {visible(warning)}", fg="yellow", err=True)


def say_note(note: str) -> None:
    """A remark on standard error."""
    from steering.cli.terminal import visible

    typer.secho(visible(note), dim=True, err=True)


@contextmanager
def bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on standard error for each thing that is done, one after the other."""
    from tqdm import tqdm

    shown: list[tuple[str, tqdm]] = []

    def report(what: str, done: int, total: int | None) -> None:
        # What begins anew, for a second SAE, has a bar of its own.
        if not shown or shown[-1][0] != what or done < shown[-1][1].n:
            close()
            shown.append((what, tqdm(desc=what, total=total, unit_scale=True, file=sys.stderr)))
        shown[-1][1].update(done - shown[-1][1].n)

    def close() -> None:
        if shown:
            shown[-1][1].close()

    try:
        yield report
    finally:
        close()


def dump_json(data: Any) -> str:
    """Readable JSON that any output can carry; what is not finite becomes null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json_module.dumps(_finite(data), indent=2, ensure_ascii=not unicode, allow_nan=False)


def _finite(data: Any) -> Any:
    """The same data without NaN and infinities, which JSON cannot hold: an overflow in a model."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(each) for each in data] if isinstance(data, list | tuple) else data


def writing(stream: "Stream", warnings: Sequence[str], *, json: bool) -> None:
    """Run a stream and print what was written, also where an error or Ctrl-C cut it short.

    Raises:
        SteeringError: What the stream raised, after the texts were printed.
        typer.Exit: With code 130 after an interruption.
    """
    alarm, interrupted = None, False
    live = not json and sys.stdout.isatty()
    try:
        with stream:
            _show_live(stream) if live else _run(stream)
    except KeyboardInterrupt:
        interrupted = True
    except SteeringError as error:
        alarm = error
    comparison = stream.comparison
    if json:
        typer.echo(dump_json(comparison.to_dict()))
    else:
        _print(comparison, live=live)
    said = [*warnings, *comparison.warnings]
    say_warnings([each for each in said if alarm is None or not _is_part(each, alarm)])
    if isinstance(alarm, InertSteeringError):
        # The library's words name the library's argument.
        raise InertSteeringError(str(alarm).replace("allow_inert=True", "--allow-inert"))
    if alarm is not None:
        raise alarm
    if interrupted:
        say_error("Interrupted: this is what was written so far.")
        raise typer.Exit(INTERRUPTED)


def _is_part(warning: str, alarm: SteeringError) -> bool:
    """Whether the alarm says the same as a warning of the record, which names the row in front."""
    return warning.partition(": ")[2] in str(alarm)


def _run(stream: "Stream") -> None:
    for _ in stream:
        pass


def _show_live(stream: "Stream") -> None:
    from rich.console import Console

    from steering.cli.terminal import LiveColumns

    with LiveColumns(Console()) as shown:
        for _ in stream:
            if shown.due:
                shown.show(stream.comparison)


def _print(comparison: "Comparison", *, live: bool) -> None:
    from rich.console import Console

    from steering.cli import terminal

    if not live:
        typer.echo(terminal.plain(comparison), nl=False)
        return
    console = Console(highlight=False)
    console.print(terminal.columns(comparison))
    console.print(terminal.footer(comparison))
