"""`python -m steering.cli`."""

from steering.cli.app import app

app()
