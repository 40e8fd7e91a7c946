"""Options that the commands share."""

from __future__ import annotations

import click

from bench.load.peers import ASKED_FOR, PEERS
from bench.options import Names

OTHERS = tuple(name for name in PEERS if name != "lbproxy")
_USUAL = ",".join(name for name in OTHERS if name not in ASKED_FOR)

peers_option = click.option("--peers", type=Names(OTHERS), default=_USUAL, show_default=True, help="Beside lbproxy.")
