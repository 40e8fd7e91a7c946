"""Machines for tests of packages: a Debian root, booted by systemd-nspawn, alone with `lo`.

    with Machine(root(package), {"/dist": folder}) as machine:
        machine.run("apt-get", "install", "/dist/lbproxy.deb")

A root is made once for each Debian release and set of packages, and kept in /tmp/lbproxy-roots. A machine writes to a
layer of its own, which ends with it. Its processes share this kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOTS = Path("/tmp/lbproxy-roots")
ROOT_OF_TESTS = Path(__file__).parents[2]
WITHIN = 120.0
"""Seconds for anything that is waited for."""

_RELEASES = {"12": "bookworm", "13": "trixie"}
_INSIDE = ("--mount", "--uts", "--ipc", "--net", "--pid")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def root(package: Path) -> Path:
    """A root of the release that `package` is for, with what it needs downloaded and not installed."""
    version = re.search(r"~deb(\d+)", package.name)
    assert version, f"{package.name} does not say which release it is for"
    fields = ("dpkg-deb", "--field", str(package), "Depends")
    depends = subprocess.run(fields, capture_output=True, text=True, check=True).stdout.strip()
    return root_with(_RELEASES[version[1]], [one.split("|")[0].strip() for one in depends.split(",")])


def root_with(release: str, needed: Sequence[str]) -> Path:
    """A root with these packages downloaded and not installed; each as in Depends of a package."""
    folder = ROOTS / f"{release}-{hashlib.sha256(', '.join(needed).encode()).hexdigest()[:12]}"
    if not folder.exists():
        print(f"making a root of {release}: a minute", flush=True)
        ROOTS.mkdir(exist_ok=True)
        unfinished = folder.with_suffix(".unfinished")
        subprocess.run(["rm", "-rf", str(unfinished)], check=True)
        words = " ".join(f"'{one}'" for one in needed)
        satisfy = f'chroot "$1" apt-get -qq --no-install-recommends --download-only satisfy {words}'
        make = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd-sysv,dbus,logrotate,man-db"]
        hooks = ["--skip=cleanup/apt", "--dpkgopt=path-include=/usr/share/man/*", f"--customize-hook={satisfy}"]
        subprocess.run([*make, *hooks, release, str(unfinished)], check=True)
        unfinished.rename(folder)
    return folder


class Machine:
    """A context manager: booted from its beginning to its end. `leader` is its process 1, as this host numbers it."""

    def __init__(self, folder: Path, shown: Mapping[str, Path]) -> None:
        """shown: where in the machine each folder of this host can be read."""
        self.leader = 0
        self._folder = folder
        self._shown = [f"--bind-ro={here}:{there}" for there, here in shown.items()]
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(f"{place}/notify")
            notified.settimeout(WITHIN)
            options = [
                "--quiet",
                "--volatile=overlay",
                "--private-network",
                "--register=no",
                "--keep-unit",
                *self._shown,
            ]
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", *options, "--notify-ready=yes", "--console=pipe", "--boot", "-D", self._folder],
                env={**os.environ, "NOTIFY_SOCKET": f"{place}/notify"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            try:
                self._wait_for_boot(notified)
            except BaseException:
                self.__exit__()
                raise
        return self

    def _wait_for_boot(self, notified: socket.socket) -> None:
        while True:
            said = dict(line.partition("=")[::2] for line in notified.recv(4096).decode().splitlines())
            self.leader = int(said.get("X_NSPAWN_LEADER_PID", self.leader))
            if said.get("READY") == "1":
                return

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            with process:  # its pipe is closed too
                process.kill()
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(WITHIN)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run to its end in the machine, as root; what it said is in the answer, and in the failure."""
        done = subprocess.run(
            self._inside(*command),
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def ask(self, *command: str) -> str:
        """What `command` prints, without the newline at its end."""
        return self.run(*command).stdout.strip()

    def write(self, path: str, text: str) -> None:
        """A file of the machine; its owner and mode stay, if it is there."""
        subprocess.run(self._inside("tee", path), input=text, text=True, stdout=subprocess.DEVNULL, check=True)

    def put(self, path: str, content: bytes) -> None:
        """The same of bytes."""
        subprocess.run(self._inside("tee", path), input=content, stdout=subprocess.DEVNULL, check=True)

    def beside(self, *command: str) -> subprocess.Popen[str]:
        """Start a program of this host in the machine's network; it is killed at the end, if it still runs."""
        process = subprocess.Popen(
            ["nsenter", "--target", str(self.leader), "--net", *command],
            cwd=ROOT_OF_TESTS,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def python_beside(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """The same with a module of this tree; returns once it has printed its first line."""
        process = self.beside(sys.executable, "-m", module, *arguments)
        assert process.stdout is not None
        assert process.stdout.readline(), f"{module} did not start"
        return process

    def cursor(self) -> str:
        """Where the journal ends now."""
        return self.ask("sh", "-c", "journalctl --quiet --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'")

    def logged(self, cursor: str, text: str, unit: str = "lbproxy.service") -> str:
        """The first line of the unit, or of systemd about it, with `text` after `cursor`, waited for."""
        follow = ["journalctl", "--follow", "--lines=all", "--output=cat", f"--after-cursor={cursor}", "--unit", unit]
        seen = []
        command = self._inside("timeout", str(int(WITHIN)), *follow)
        with subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True) as journal:
            assert journal.stdout is not None
            for line in journal.stdout:
                seen.append(line)
                if text in line:
                    journal.terminate()
                    return line
        raise AssertionError(f"{text!r} was not logged, but:\n{''.join(seen)}")

    def status(self) -> dict[str, Any]:
        """What `lbproxy status --json` says."""
        found: dict[str, Any] = json.loads(self.ask("lbproxy", "status", "--json"))
        return found

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.leader), *_INSIDE, "--", *command]
