"""Where preset files lie, and how one is read and written: this module knows no field of them.

Names are slugs, so that no name reaches a path outside the presets folders. Packaged presets and a
person's own lie in two folders, and neither hides the other.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from steering.errors import PresetError
from steering.saving import replace_file

SLUG = "[a-z0-9][a-z0-9-]{0,63}"
MAX_BYTES = 1_000_000
SCHEMA_FILE = "schema"
"""The published JSON Schema lies among the packaged presets, so no preset can have this name."""


def packaged_folder() -> Path:
    """The presets that come with the program: inside the wheel, or beside the package in git."""
    package = Path(__file__).parent.parent
    installed = package / "packaged_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def user_folder() -> Path:
    """A person's own presets, in the platform's data folder."""
    import platformdirs

    return platformdirs.user_data_path("steering-playground") / "presets"


def preset_names(folder: Path | None = None) -> Iterator[tuple[Path, bool]]:
    """Every preset file and whether it is packaged, the packaged ones first."""
    for number, place in enumerate(_places(folder)):
        for path in sorted(place.glob("*.json")):
            if path.stem != SCHEMA_FILE and not path.name.startswith("."):
                yield path, number == 0


def _places(folder: Path | None) -> list[Path]:
    """The packaged presets' folder, then the person's own; one where both are the same."""
    places = (packaged_folder(), folder or user_folder())
    return list(dict.fromkeys(place.expanduser().resolve() for place in places))


def find_preset(path_or_name: str | Path, folder: Path | None = None) -> Path:
    """The file of a preset, given by its name or by its path.

    Raises:
        PresetError: There is none, or two have this name.
    """
    asked = str(path_or_name)
    if isinstance(path_or_name, Path) or asked.endswith(".json"):
        path = Path(asked).expanduser()
        if not path.is_file():
            raise PresetError(f"There is no preset file {asked!r}. {_known(folder)}")
        return path
    _check_slug(asked)
    paths = (place / f"{asked}.json" for place in _places(folder))
    found = [path for path in paths if path.is_file()]
    if not found or asked == SCHEMA_FILE:
        raise PresetError(f"There is no preset {asked!r}. {_known(folder)}")
    if len(found) > 1:
        raise PresetError(
            f"Two presets are named {asked!r}: {str(found[0])!r}, which comes with the program, "
            f"and {str(found[1])!r}. Rename yours, or give the path of the one you mean."
        )
    return found[0]


def _known(folder: Path | None) -> str:
    names = [path.stem for path, _ in preset_names(folder)]
    if not names:
        return f"None is installed, and none lies in {str(folder or user_folder())!r}."
    return f"There are {', '.join(names)}. Choose one, or give the path of a .json file."


def _check_slug(name: str) -> None:
    if not re.fullmatch(SLUG, name):
        raise PresetError(
            f"{name!r} is no preset name: names have up to 64 small letters, digits and hyphens, "
            "and begin with a letter or digit. Write one like 'golden-gate'."
        )


def read_json(path: Path) -> tuple[str, dict[str, Any]]:
    """A preset file's text, and the object in it.

    Raises:
        PresetError: It cannot be read, is too large, or holds no JSON object.
    """

    def not_json(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PresetError(
            f"Cannot read preset file {str(path)!r}: {error.strerror}. Check the path."
        ) from error
    if len(raw) > MAX_BYTES:
        raise PresetError(
            f"Preset file {str(path)!r} is larger than {MAX_BYTES // 1_000_000} MB, so it is no "
            "preset. Give another file."
        )
    try:
        text = raw.decode("utf-8-sig")
        data = json.loads(text, parse_constant=not_json)
    except (ValueError, RecursionError) as error:
        raise PresetError(
            f"Preset file {str(path)!r} is not valid JSON: {error}. "
            "Correct the file, or save the preset again under another name; it was left as it is."
        ) from error
    if not isinstance(data, dict):
        raise PresetError(
            f"Preset file {str(path)!r} holds a {type(data).__name__}, and a preset is a JSON "
            "object. Give another file."
        )
    return text, data


def place_for(name: str, folder: Path | None = None) -> Path:
    """The file of a person's own preset.

    Raises:
        PresetError: Not a name, or one that comes with the program.
    """
    _check_slug(name)
    if name == SCHEMA_FILE or (packaged_folder() / f"{name}.json").exists():
        raise PresetError(
            f"The name {name!r} belongs to what comes with the program. Choose another name."
        )
    return (folder or user_folder()).expanduser() / f"{name}.json"


def write_file(path: Path, text: str) -> None:
    """Write a preset file wholly or not at all; folders are made.

    Raises:
        PresetError: Too large, or the folder cannot be written.
    """
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise PresetError(
            f"Preset {path.stem!r} would take {len(content):,} bytes, and a preset file holds at "
            f"most {MAX_BYTES:,}. Leave out saved samples, or shorten the prompts."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise PresetError(
            f"Cannot write preset file {str(path)!r}: {error.strerror}. "
            "Choose another folder (--presets); nothing was changed."
        ) from error


def delete_file(path: Path) -> None:
    """Delete a preset file.

    Raises:
        PresetError: The folder cannot be written.
    """
    try:
        path.unlink()
    except OSError as error:
        raise PresetError(
            f"Cannot delete preset file {str(path)!r}: {error.strerror}. Check its folder."
        ) from error
