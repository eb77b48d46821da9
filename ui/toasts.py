"""What the page says in its corner."""

import functools
import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from steering.errors import SteeringError

PLUMBING: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
"""No endpoint for programs and no overlay; requests that decode wait in the host's own line."""


def toast(text: str) -> None:
    """Say something in a corner of the page; it may quote anything, so it is escaped."""
    gr.Warning(html.escape(text), duration=12)


def toasting(run: Callable[..., Any]) -> Callable[..., Any]:
    """What it raises on purpose becomes a toast, and the page stays as it is."""
    return toasting_or(gr.skip())(run)


def toasting_or(otherwise: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What it raises on purpose becomes a toast, and the outputs become `otherwise`."""

    def wrap(run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def said(*values: Any, **named: Any) -> Any:
            try:
                return run(*values, **named)
            except SteeringError as error:
                toast(str(error))
                return otherwise

        return said

    return wrap
