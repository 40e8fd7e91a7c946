"""The commands in docs/ that ask the access log: each is run on what a balancer has written."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from .balancer import Balancer
from .conftest import Backends, Balance
from .test_admin import by_target

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[str]:
    return re.findall(r"^jq .*$", (DOCS / page).read_text(), re.MULTILINE)


def ask(command: str, log: Path) -> str:
    command = re.sub(r"\S*access\.log", str(log), command)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), command
    return done.stdout


async def write_log(balancer: Balancer, log: Path) -> None:
    """What by_target's backends answer, a wrong Host, and a head that is too large."""
    async with await balancer.connect() as client:
        for status in (200, 200, 401, 502, 503, 504, 431, 400):
            assert (await client.ask(f"/{status}")).status == status
    async with await balancer.connect() as client:
        assert (await client.ask("/200", "GET", f"X: {'x' * 200_000}")).status == 431
    lines = await balancer.accessed(9)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


async def test_each_gives_an_answer(backends: Backends, balance: Balance, tmp_path: Path) -> None:
    balancer = await balance(*await backends(by_target, by_target))
    log = tmp_path / "access.log"
    await write_log(balancer, log)
    monitoring, troubleshooting = commands("monitoring.md"), commands("troubleshooting.md")
    assert (len(monitoring), len(troubleshooting)) == (6, 9)
    reasons, errors, waits, slowest, *_, minutes = (ask(one, log) for one in monitoring)
    assert "head_too_large" in reasons
    assert {line.split()[0] for line in errors.splitlines()} == {"c1", "c2"}
    assert sum(int(line.split()[1]) for line in errors.splitlines()) == 3
    assert len(waits.splitlines()) == 2
    assert len(slowest.splitlines()) == 9
    assert sum(int(line.split()[0]) for line in minutes.splitlines()) == 9
    for command in troubleshooting:
        said = ask(command, log)
        if found := re.search(r"\.status == (\d+)", command):
            assert bool(said) == (found[1] != "421"), command
