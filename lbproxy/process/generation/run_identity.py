"""Which run of lbproxy this is, for the others of its fleet."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def run_of(pid: int) -> str:
    """The same for as long as the process `pid` lives, through re-execs too, and of no other process anywhere.

    It is made of the boot, or of the unit's start where systemd hides the boot (ProcSubset=pid), the PID namespace,
    the process id and when the process was started (proc(5), starttime).
    Ask while this process is still the user that has started it: a /proc that is mounted with hidepid (proc(5)) shows
    other users nothing of the process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = os.environ.get("INVOCATION_ID", "")  # systemd.exec(5)
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return hashlib.sha256(f"{boot} {namespace} {pid} {started}".encode()).hexdigest()[:16]
