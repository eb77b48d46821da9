"""Searching features, opening their cards, and what a card can do."""

from ui.host import Host
from ui.layout import Layout


def wire(host: Host, parts: Layout) -> None:
    """The Explore tab."""
    del host, parts
