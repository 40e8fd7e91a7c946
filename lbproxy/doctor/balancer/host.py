"""What this host allows the balancer."""

from __future__ import annotations

import resource
from pathlib import Path

from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Found, UnseenError, ok, warning

WHY = "Without a descriptor for each connection, new clients wait."

_PROC = Path("/proc")


async def descriptors(sight: Sight) -> Found:
    """Each client needs two; of a process that runs, its own limit counts."""
    clients = sum(listener.max_connections for listener in sight.config.listeners.values())
    wanted = 2 * clients // sight.config.worker_count
    try:
        pid = (await sight.status())["generation"]["pid"]
        limit, whose = _limit(pid), f"process {pid}"
    except UnseenError:
        limit, whose = resource.getrlimit(resource.RLIMIT_NOFILE)[1], "a process that is started here"
    if 0 <= limit < wanted:
        return [
            warning(
                f"{whose} may open {limit} files; max_connections of all listeners would need {wanted}",
                repair=f"LimitNOFILE={wanted + 1024} in lbproxy's unit, then: systemctl daemon-reload && systemctl"
                " restart lbproxy",
            )
        ]
    return [ok(f"{whose} may open {limit if limit >= 0 else 'any number of'} files, of which {wanted} may be needed")]


def _limit(pid: int) -> int:
    """The soft limit; -1 is none. Raises UnseenError."""
    try:
        lines = (_PROC / str(pid) / "limits").read_text().splitlines()
    except OSError as error:
        raise UnseenError(f"process {pid}: {error.strerror}") from None
    word = next(line for line in lines if line.startswith("Max open files")).split()[3]
    return -1 if word == "unlimited" else int(word)
