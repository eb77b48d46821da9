"""The command `steer`: flags in, words and two columns out."""

from steering.cli.app import app

__all__ = ["app"]
