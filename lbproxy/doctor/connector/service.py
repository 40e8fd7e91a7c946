"""What starts the connector again when it has ended: also after status 0, with which it ends when LDAP is away."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lbproxy.doctor.connector.sight import Sight
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.instance import processes
from lbproxy.preflight.unit_file import unit_settings

WHY = "The connector ends with status 0 when LDAP is away at its start; then nothing starts it again."

_WITHIN = 3.0  # seconds
_UNIT = re.compile(r"/([^/]+\.service)$", re.MULTILINE)


async def restarts(sight: Sight) -> Found:
    """Restart= and WorkingDirectory= of its unit."""
    if sight.asked.unit is not None:
        return list(_of_file(sight, sight.asked.unit))
    if sight.asked.kind != "auth0":
        raise UnseenError("which service it is, is not known", "add --unit FILE")
    return list(await asyncio.to_thread(lambda: list(_of_process(sight))))


def _of_file(sight: Sight, path: Path) -> Iterator[Finding]:
    found = unit_settings(path)
    yield from judge(sight, str(path), found.get("Restart", "no"), found.get("WorkingDirectory", ""))


def _of_process(sight: Sight) -> Iterator[Finding]:
    running = processes.running(sight.asked.where.directory, "server.js")
    if not running:
        told = f"no process runs {sight.asked.where.directory.resolve() / 'server.js'}"
        yield problem(told, "Nobody is served here.", "systemctl start the connector, as a user who may; its log")
        return
    for process in running:
        unit = _unit(process.pid)
        if unit is None:
            told = f"process {process.pid} belongs to no unit of systemd"
            yield unseen(told, "see that its service manager restarts it after exit status 0 too; or add --unit FILE")
            continue
        found = _properties(unit)
        yield from judge(sight, unit, found.get("Restart", ""), found.get("WorkingDirectory", ""))


def judge(sight: Sight, unit: str, restart: str, directory: str) -> Iterator[Finding]:
    """What the unit's two settings mean. The directory is "" if the unit does not say."""
    wanted = sight.asked.where.directory.resolve()
    if restart != "always":
        repair = f"systemctl edit {Path(unit).name}: [Service] Restart=always RestartSec=2"
        yield problem(f"{unit}: Restart={restart or 'no'}", repair=repair)
    if sight.asked.kind == "auth0" and directory.lstrip("-!") != str(wanted):
        yield warning(
            f"{unit}: WorkingDirectory={directory or '(not set)'}",
            "The connector writes certs/ in its working directory, and reads it in its install folder.",
            f"systemctl edit {Path(unit).name}: [Service] WorkingDirectory={wanted}",
        )
    elif restart == "always":
        yield ok(f"{unit}: Restart=always")


def _unit(pid: int) -> str | None:
    text = (processes.told_of(pid, "cgroup") or b"").decode()
    match = _UNIT.search(text)
    return None if match is None or "/user@" in text else match[1]  # that is another service manager's


def _properties(unit: str) -> dict[str, str]:
    """Of a unit that systemd runs. Raises UnseenError."""
    program = shutil.which("systemctl")
    if program is None:
        raise UnseenError(f"{unit}: there is no systemctl")
    # Whoever runs a process may have named its control group: a name such as -Hhost is no option here.
    command = [program, "show", "--property=Restart,WorkingDirectory", "--", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise UnseenError(f"{unit}: systemctl does not answer") from None
    if done.returncode:
        raise UnseenError(f"{unit}: {done.stderr.strip()}", f"systemctl show {unit}")
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}
