"""Laws about the project itself: what it pins, what it ships, what importing it costs."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {"datasets", "gradio", "sae_lens", "torch", "transformer_lens", "transformers", "wandb"}


def normalised(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """The exact version of each distribution in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalised(name): version for name, version in pairs}


def requirements() -> list[str]:
    """The names of everything that pyproject.toml asks for, extras included."""
    asked = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        asked += extra
    return [normalised(re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0]) for line in asked]


def python(*arguments: str) -> str:
    """What a fresh interpreter prints; what it complains of, if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after `statement`."""
    report = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    return HEAVY & set(json.loads(python("-c", f"{statement}\n{report}").splitlines()[-1]))


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files inside the wheel built from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out))
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_torch_is_pinned_to_the_tested_version() -> None:
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize("name", requirements())
def test_every_requirement_has_an_exact_tested_version(name: str) -> None:
    assert name in pins()


def test_no_pin_is_of_one_machine_only() -> None:
    """A local version such as 2.13.0+cpu exists on no package index."""
    assert not [name for name, version in pins().items() if "+" in version]


def test_the_library_knows_no_page() -> None:
    """Also where an import is inside a function."""
    page = re.compile(r"^\s*(import|from) (gradio|ui)\b", re.MULTILINE)
    rooms = list(ROOT.glob("steering/**/*.py"))
    assert rooms
    assert not [room.name for room in rooms if page.search(room.read_text())]


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert loaded_by("import steering") == set()


def test_the_command_line_answers_before_anything_heavy_is_loaded() -> None:
    assert loaded_by("import steering.cli") == set()


def test_help_is_printed_without_anything_heavy() -> None:
    help_only = (
        "from typer.testing import CliRunner\n"
        "from steering.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert loaded_by(help_only) == set()


def test_the_page_answers_before_the_model_s_libraries_are_loaded() -> None:
    assert loaded_by("import ui.server") == {"gradio"}


def test_the_wheel_carries_every_data_file(wheel_names: set[str]) -> None:
    shipped = [
        path.relative_to(ROOT).as_posix()
        for package in ("steering", "ui")
        for path in ROOT.glob(f"{package}/**/*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]
    assert {"steering/calibration.txt", "steering/py.typed", "ui/py.typed"} <= set(shipped)
    assert set(shipped) <= wheel_names


def test_the_wheel_carries_the_presets(wheel_names: set[str]) -> None:
    presets = {f"steering/packaged_presets/{path.name}" for path in ROOT.glob("presets/*.json")}
    assert presets
    assert presets <= wheel_names


def test_the_wheel_carries_nothing_else(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"steering", "ui"}
