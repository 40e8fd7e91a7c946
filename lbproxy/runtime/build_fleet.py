"""From the configuration to the balancer's place in its fleet."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path, PurePath

from pydantic import SecretBytes, SecretStr

from lbproxy import __version__
from lbproxy.config import Config
from lbproxy.control.fleet.place import Place

_OF_ONE_HOST = {
    "fleet": True,
    "admin": True,
    "access_log": True,
    "user": True,
    "group": True,
    "workers": True,
    "listeners": {"__all__": {"bind"}},
}
"""What balancers of one fleet need not have in common."""


def make_place(config: Config, master: int, generation: int) -> Place:
    """The place of this process. master: the process id of its master."""
    fleet = config.fleet
    assert fleet is not None, "there is a fleet"
    return Place(
        fleet.name,
        fleet.replica_name,
        socket.gethostname(),
        fleet.lease,
        run_of(master),
        generation,
        __version__,
        digest(config),
        {name: " ".join(listener.pools) for name, listener in config.listeners.items()},
    )


def digest(config: Config) -> str:
    """Equal where two balancers serve the same: what belongs to one host, secrets and directories are left out."""
    told = config.model_dump(exclude=_OF_ONE_HOST)  # type: ignore[arg-type]  # nested, as pydantic takes it
    return hashlib.sha256(json.dumps(_plain(told), sort_keys=True).encode()).hexdigest()[:12]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_plain(one)) for one in value)
    if isinstance(value, SecretStr | SecretBytes):
        return None
    return value.name if isinstance(value, PurePath) else str(value)


def run_of(pid: int) -> str:
    """The same for as long as the process `pid` lives, through re-execs too, and of no other process anywhere.

    It is made of the boot, the PID namespace, the process id and when the process was started (proc(5), starttime).
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return hashlib.sha256(f"{boot} {namespace} {pid} {started}".encode()).hexdigest()[:16]
