"""`steer ui` as it is typed."""

import socket

import pytest
from typer.testing import CliRunner, Result


def steer(*words: str) -> Result:
    from ui.command import app

    return CliRunner().invoke(app, words)


def test_help_names_every_flag_and_the_commands_of_the_library_stay():
    shown = steer("ui", "--help").output
    for flag in ("--model", "--sae", "--presets", "--port", "--host", "--auth", "--share"):
        assert flag in shown
    every = steer("--help").output
    for command in ("compare", "doctor", "preset", "ui"):
        assert command in every


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--auth", "nope"], "NAME:PASSWORD"),
        (["--model", "gpt2"], "comes without an SAE"),
        (["--model", "gpt2", "--sae", "what"], "Cannot read the SAE"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_starts(words, said):
    done = steer("ui", *words)
    assert done.exit_code == 2
    assert said in done.output


def test_a_port_that_is_taken_is_said_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = steer("ui", "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2
    assert "Choose another one with --port" in done.output
