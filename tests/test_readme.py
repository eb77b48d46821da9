"""The README says what is so: its example runs, its tree is the tree, its commands exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [text for named, text in fenced if named == language]


def test_the_library_example_runs_and_steers() -> None:
    (example,) = blocks("python")
    assert len(example.splitlines()) <= 35
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    said = dict(line.split(":", 1) for line in printed.getvalue().splitlines() if ":" in line)
    assert "Golden Gate" in said["steered"]
    assert "Golden Gate" not in said["baseline"]


@pytest.mark.parametrize("package", ["steering", "ui"])
def test_the_file_tree_names_every_room_and_no_other(package: str) -> None:
    tree = next(block for block in blocks("") if block.startswith("steering/"))
    branch = re.search(rf"^{package}/.*\n((?:  .*\n)*)", tree, re.MULTILINE)
    assert branch is not None
    named = {line.split()[0].rstrip("/") for line in branch[1].splitlines()}
    rooms = {
        path.name
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.name != "__init__.py"
    }
    assert named == rooms


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make (\w+)", README, re.M))))
def test_every_make_target_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_flag_shown_for_compare_exists() -> None:
    shown = set(re.findall(r"(?<= )--[a-z-]+", "\n".join(blocks("")).split("steer preset list")[0]))
    options = (ROOT / "steering" / "cli" / "options.py").read_text()
    pip = {"--constraint", "--editable"}
    assert {flag for flag in shown - pip if f'"{flag}"' not in options} == set()
