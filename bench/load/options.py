"""Options that the commands share."""

from __future__ import annotations

import click

from bench.load.peers import PEERS
from bench.options import Names

OTHERS = tuple(name for name in PEERS if name != "lbproxy")

peers_option = click.option(
    "--peers", type=Names(OTHERS), default=",".join(OTHERS), show_default=True, help="Beside lbproxy."
)
