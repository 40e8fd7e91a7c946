"""Debian's dnsmasq as an authoritative name server of the tests' own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import dns.exception
import dns.message
import dns.query

from tests.ports import free_port

PROGRAM = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")


class Dnsmasq:
    """Serves the addresses of names below test., and `options`, on a free port of 127.0.0.1, for the length of a block.

    TTLs are 0 unless an option says otherwise.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        assert PROGRAM, "dnsmasq is missing; tools/prepare debian test"
        self.port = free_port()
        self._hosts = directory / "hosts"
        self._hosts.write_text("")
        self._empty = directory / "dnsmasq.conf"  # or it reads the one of the host
        self._empty.write_text("")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Dnsmasq:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        assert PROGRAM
        self._process = subprocess.Popen(
            [
                PROGRAM, "--keep-in-foreground", f"--conf-file={self._empty}", "--pid-file=", "--user=root",
                "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={self.port}",
                f"--addn-hosts={self._hosts}", "--local=/test/", *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._until(lambda: True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def restart(self, *options: str) -> None:
        """Serve with these options instead: dnsmasq reads nothing but addresses again."""
        self.stop()
        self._options = options
        self.start()

    def serves(self, names: Mapping[str, Iterable[str]]) -> None:
        """These addresses of these names from now on."""
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        self._hosts.write_text("".join(lines))
        assert self._process
        self._process.send_signal(signal.SIGHUP)
        for name, addresses in names.items():
            wanted = {address for address in addresses if ":" not in address}
            self._until(partial(self._serves, name, wanted))

    def _serves(self, name: str, wanted: set[str]) -> bool:
        return self._asked(name) == wanted

    def _asked(self, name: str) -> set[str]:
        query = dns.message.make_query(name, "A")
        response, _ = dns.query.udp_with_fallback(query, "127.0.0.1", timeout=0.2, port=self.port)
        return {record.to_text() for rrset in response.answer for record in rrset}

    def _until(self, holds: Callable[[], bool]) -> None:
        """Wait until it answers, and `holds`."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(OSError, dns.exception.DNSException):
                self._asked("ready.test")
                if holds():
                    return
            time.sleep(0.02)
        raise AssertionError("dnsmasq does not serve")
