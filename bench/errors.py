"""What stops a measurement."""

from __future__ import annotations

import click


class BenchError(click.ClickException):
    """Something that makes a figure impossible or untrue; its text is for whoever runs the measurement."""
