"""What an idle balancer takes, with room for other versions of Python and of the libraries."""

from __future__ import annotations

import re
from pathlib import Path

from .balancer import Balancer
from .conftest import Backends, Balance
from .surroundings import BY_COMMAND_LINE

MEGABYTE = 1024  # in kB, as proc(5) counts


def memory(pid: int, *keys: str) -> int:
    """kB of a process that is resident, by these lines of smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for key in keys for size in re.findall(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE))


def own(pid: int) -> int:
    """kB that would be free without that process."""
    return memory(pid, "Private_Clean", "Private_Dirty")


async def test_as_a_sidecar(backends: Backends, balance: Balance) -> None:
    """Master and generation; what they share counts once."""
    balancer: Balancer = await balance(*await backends(), around=BY_COMMAND_LINE)
    resident = memory(balancer.pid, "Rss") + own(balancer.master)
    assert resident < 85 * MEGABYTE


async def test_each_worker(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(), workers=2, around=BY_COMMAND_LINE)
    for worker in balancer.workers:
        assert own(worker) < 10 * MEGABYTE
        assert memory(worker, "Pss") < 18 * MEGABYTE
