"""What long work on an atlas tells whoever waits for it."""

from collections.abc import Callable

Report = Callable[[str, int, int | None], None]
"""What is being done, how much of it, and of how much (None where unknown)."""
