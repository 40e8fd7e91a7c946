"""What a process under test is started in."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.namespaces import OWN_NETWORK

ROOT = Path(__file__).parents[2]

READ_AT_EACH_USE = ("KRB5", "NTLM_", "SSL_CERT_")
"""What the names of variables begin with that libkrb5, gss-ntlmssp and OpenSSL read whenever they need them."""

FORKS_GENERATIONS = "generations"
"""The name, in /proc/PID/comm, of a child of a master that forks its generations (see `forkserver`)."""


class Surroundings(NamedTuple):
    """`under`: the command that runs it, if one does. `environment`: variables beside the test's own.

    `network`: the file of its network namespace.
    """

    under: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    network: Path = OWN_NETWORK

    @property
    def command(self) -> list[str]:
        """What its command line begins with."""
        enter = [] if self.network == OWN_NETWORK else ["nsenter", f"--net={self.network}"]
        return [*enter, *self.under]


PLAIN = Surroundings()

BY_COMMAND_LINE = Surroundings(under=["env"])
"""As PLAIN, and not from the fork server: no page of its memory is another process's."""


def open_to_all() -> Surroundings:
    """Such that every user may read the Python that runs this, and lbproxy; skips the test where that cannot be.

    Both may be in the home of root, which is closed to all others. Then the process gets a mount namespace, where that
    folder has nothing but them.
    """
    needed = [path for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix)) if _closed(path)]
    if not needed:
        return PLAIN
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"nobody but root may read {needed[0]}, and there are no mount namespaces here")
    steps = ["mount -t tmpfs tmpfs /mnt"]
    for number, path in enumerate(needed):
        steps += [f"mkdir /mnt/{number}", f"mount --bind {shlex.quote(str(path))} /mnt/{number}"]
    for closed in sorted({str(_closed(path)) for path in needed}):
        steps.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(closed)}")
    for number, path in enumerate(needed):
        steps += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind /mnt/{number} {shlex.quote(str(path))}"]
    return Surroundings(["unshare", "--mount", "sh", "-c", " && ".join([*steps, 'cd . && exec "$@"']), "sh"])


def in_a_pod(directory: Path, account: Path, environment: Mapping[str, str]) -> Surroundings:
    """As a restricted pod has it: `directory` alone is writable, there are no capabilities, and `account` is mounted.

    Skips the test where there are no mount namespaces.
    """
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("there are no mount namespaces here")
    there, at = shlex.quote(str(directory)), "/run/secrets/kubernetes.io/serviceaccount"
    steps = [
        "mount -t tmpfs tmpfs /run",  # /var/run leads there
        f"mkdir -p {at}",
        f"mount --bind {shlex.quote(str(account))} {at}",
        f"mount --bind {there} {there}",
        "mount -o remount,ro,bind /",
        "cd .",
        'exec setpriv --inh-caps=-all --bounding-set=-all --no-new-privs "$@"',
    ]
    return Surroundings(["unshare", "--mount", "sh", "-c", " && ".join(steps), "sh"], environment)


def _closed(path: Path) -> Path | None:
    """The first folder on the way to it, or it, that is closed to other users."""
    for folder in [*reversed(path.parents), path]:
        if not os.stat(folder).st_mode & 0o001:  # noqa: PTH116
            return folder
    return None
