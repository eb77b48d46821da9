"""Run in a subprocess: try to load models with SAEs from the hub, and say what came of each.

Each argument is a JSON object: a model, an SAE, and optionally a token and whether to go through
the command line. Every outcome is one line of JSON on standard output, as soon as it is known.
With `--unreachable` first, the hub is an address at which nobody listens, and from the argument
`--silent` on it takes connections and never answers.
"""

import contextlib
import io
import json
import os
import runpy
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any


def main(arguments: Sequence[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        for argument in arguments:
            if argument == "--unreachable":  # before the hub's address is read at import
                os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            elif argument == "--silent":
                nobody.listen(64)
            else:
                sys.stdout.write(json.dumps(attempt(**json.loads(argument))) + "\n")
                sys.stdout.flush()


def attempt(
    model: str, sae: list[str], token: str | None = None, command_line: bool = False
) -> dict[str, Any]:
    """How loading went, and how long it took."""
    os.environ.pop("HF_TOKEN", None)
    if token is not None:
        os.environ["HF_TOKEN"] = token
    import steering.session  # noqa: F401  # what importing takes is not the hub's doing

    started = time.monotonic()
    outcome = compare(model, sae) if command_line else load(model, sae)
    return outcome | {"seconds": time.monotonic() - started}


def load(model: str, sae: list[str]) -> dict[str, Any]:
    from steering import Session, SteeringError

    try:
        Session.load(model, sae=(sae[0], sae[1]), device="cpu")
    except SteeringError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except Exception:
        return {"error": "not a SteeringError", "text": traceback.format_exc()}
    return {"error": None, "text": ""}


def compare(model: str, sae: list[str]) -> dict[str, Any]:
    """What `python -m steering.cli compare` does, in this process to save an import."""
    flags = ["-f", "3:add=0.5norm", "--model", model, "--sae", ":".join(sae)]
    sys.argv = ["steer", "compare", "Hello there", *flags]
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    code: object = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_module("steering.cli", run_name="__main__", alter_sys=True)
        except SystemExit as exit_:
            code = exit_.code
        except Exception:
            traceback.print_exc()
            code = 1
    said.seek(0)
    return {"exit_code": code, "text": said.read()}


if __name__ == "__main__":
    main(sys.argv[1:])
