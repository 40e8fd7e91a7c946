"""Runs as a JSON file.

about     when, where and how
runs      of each run the results, all their rounds included, and what could not be measured
worst     of each scenario, for each other proxy: lbproxy's CPU time a request over that proxy's in the worst run
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.load.load import Load
from bench.load.outcome import Outcome, Result, Round, Run
from bench.load.worst import OWN, worst


def save(outcome: Outcome, path: Path) -> None:
    """Write `outcome` to the file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(outcome) | {"worst": _worst(outcome)}, indent=1) + "\n")


def read(path: Path) -> Outcome:
    """What `save` wrote; BenchError when the file holds something else."""
    try:
        document = json.loads(path.read_text())
        return Outcome(document["about"], tuple(map(_run, document["runs"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path} is not a saved run: {error!r}") from error


def _worst(outcome: Outcome) -> dict[str, dict[str, object]]:
    others = [peer for peer in outcome.peers if peer != OWN]
    return {name: {peer: asdict(worst(outcome, name, peer)) for peer in others} for name in outcome.scenarios}


def _run(item: dict[str, Any]) -> Run:
    return Run(tuple(map(_result, item["results"])), item["failures"])


def _result(item: dict[str, Any]) -> Result:
    rounds = tuple(map(_round, item["rounds"]))
    return Result(item["scenario"], item["peer"], item["pss_bytes"], rounds, item["tls"])


def _round(item: dict[str, Any]) -> Round:
    beside = item.get("beside", {})  # older files have none
    return Round(Load(**item["load"]), item["cpu_ns"], {kind: Load(**load) for kind, load in beside.items()})
