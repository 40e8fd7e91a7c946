"""A network namespace with one address that this machine can reach, and that can be cut off."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Self

from bench.errors import BenchError

_DROP = """
table inet failure {
    chain arriving { type filter hook input priority 0; policy drop; }
    chain leaving { type filter hook output priority 0; policy drop; }
}
"""


def why_not() -> str:
    """Why no namespace can be made here; "" when one can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [program for program in ("ip", "nft") if shutil.which(program) is None]
    return f"needs {' and '.join(missing)}" if missing else ""


class Namespace:
    """Two ends of a virtual cable: this machine at one, a namespace with `address` at the other.

    Addresses are of 198.18.0.0/15, which is for measurements (RFC 2544). Its end takes everything of it away.
    Raises BenchError when it cannot be made.
    """

    def __init__(self) -> None:
        pid = os.getpid()
        self._name = f"lbfail{pid}"
        network = f"198.18.{pid % 256}."
        first = pid // 256 % 64 * 4
        self.address = f"{network}{first + 2}"
        self._here = f"{network}{first + 1}"

    def __enter__(self) -> Self:
        name, inner = self._name, f"{self._name}i"
        _run("ip", "netns", "add", name)
        try:
            _run("ip", "link", "add", name, "type", "veth", "peer", "name", inner, "netns", name)
            _run("ip", "address", "add", f"{self._here}/30", "dev", name)
            _run("ip", "link", "set", name, "up")
            _run("ip", "-n", name, "address", "add", f"{self.address}/30", "dev", inner)
            _run("ip", "-n", name, "link", "set", inner, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(
            ["ip", "link", "delete", self._name], capture_output=True, check=False
        )  # it may not be there yet
        _run("ip", "netns", "delete", self._name)

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command`, to be run in the namespace."""
        return ["ip", "netns", "exec", self._name, *command]

    def cut_off(self) -> None:
        """From now on every packet from and to the address is dropped."""
        _run(*self.inside(["nft", "-f", "-"]), text=_DROP)

    def join(self) -> None:
        """End a `cut_off`."""
        _run(*self.inside(["nft", "delete", "table", "inet", "failure"]))


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed: {done.stderr.strip()}")
