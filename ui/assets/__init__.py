"""The page's own JavaScript and style, read from the files beside this one."""

from pathlib import Path

HERE = Path(__file__).parent


def script(*names: str) -> str:
    """One component's script, behind the few words of DOM that all of them share."""
    return "".join(_read(name) for name in ("dom.js", *names))


def page_script() -> str:
    """What runs once when the page opens."""
    return _read("page.js")


def style() -> str:
    """The page's style sheet."""
    return _read("page.css") + _read("explore.css") + _read("map.css")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
