"""`python -m tests.e2e.trial`: exit status 1 if a rule was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from .modes import KINDS
from .run import Plan, run


def main() -> int:
    """Run it, and print what came of it."""
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.trial", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of what clients and backends do")
    parser.add_argument("--seconds", type=float, default=30.0, help="at least")
    parser.add_argument("--requests", type=int, default=0, help="at least, in all modes together")
    parser.add_argument("--mode", action="append", choices=names, help="one of several; default: all")
    options = parser.parse_args()
    plan = Plan(options.seed, options.seconds, options.requests, tuple(options.mode or names))
    print(f"seed {plan.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lbp-") as directory:
        modes = uvloop.run(run(plan, Path(directory)))
    for mode in modes:
        print(mode.ledger.report())
    total = sum(mode.ledger.requests for mode in modes)
    print(f"{total} requests in {time.monotonic() - started:.0f} s, seed {plan.seed}")
    return 1 if any(mode.ledger.wrong for mode in modes) else 0


sys.exit(main())
