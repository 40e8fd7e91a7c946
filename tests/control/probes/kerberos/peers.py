"""The other ends of a kerberos probe: connectors as processes, with clocks of their own, and a realm's principals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lbproxy.control.probes.kerberos.credentials import Login
from lbproxy.control.probes.kerberos.sign_in import RENEW, SignIn
from lbproxy.demo.realm import Realm, find_programs
from tests.e2e.starting import ForkedAtOnce, connector_at_once
from tests.pki import WITHOUT_AUTHORITIES

HOST = "login.corp.example"
SPN = f"HTTP@{HOST}"
PROBE = "HTTP/probe.corp.example"
PRINCIPAL = f"{PROBE}@CORP.EXAMPLE"
ERROR_TOKENS = Path(__file__).with_name("error_tokens.py")

[LIBFAKETIME] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")


def clock(offset: str) -> dict[str, str]:
    """The environment in which a process lives at another time, as in clock("+600s"); its timers stay true."""
    return {"LD_PRELOAD": str(LIBFAKETIME), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def jumping_clock(file: Path) -> dict[str, str]:
    """The same, with the offset that `file` has at the time."""
    return {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that runs: its process and its address."""

    process: subprocess.Popen[str] | ForkedAtOnce
    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


@contextmanager
def _serving(process: subprocess.Popen[str] | ForkedAtOnce) -> Iterator[Connector]:
    """One that says `listening: URL`, killed at the end."""
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening: "), line
            yield Connector(process, line.removeprefix("listening: ").strip())
        finally:
            process.kill()


@contextmanager
def sample_connector(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[Connector]:
    """A sample connector with these options."""
    with _serving(connector_at_once(arguments, os.environ | WITHOUT_AUTHORITIES | dict(environment))) as one:
        yield one


def asked_of(corp: Corp, kind: str) -> int:
    """How often the KDC was asked for a ticket-granting ticket (AS_REQ) or a service ticket (TGS_REQ)."""
    return (corp.realm.directory / "kdc.log").read_text().count(f"{kind} (")


class Corp:
    """A realm with a service, HTTP/login.corp.example, and an account for probes."""

    def __init__(self, directory: Path) -> None:
        self.realm = Realm(directory)
        self.realm.start()
        self.keytab = self.realm.add_service(f"HTTP/{HOST}")
        self.probe_keytab = self.realm.add_service(PROBE)

    def login(self, keytab: Path | None = None, spn: str = SPN) -> Login:
        """The probe's, with another keytab perhaps, or for another service."""
        return Login(self.sign_in(keytab), spn)

    def sign_in(self, keytab: Path | None = None, renew: float = RENEW) -> SignIn:
        """The probe's, which never waits before it tries again."""
        return SignIn(PRINCIPAL, keytab or self.probe_keytab, retry=0.0, renew=renew)

    def rotate(self) -> Path:
        """Gives the service a new key; the new keytab."""
        return self.realm.rotate(f"HTTP/{HOST}")

    def restart_kdc(self, environment: Mapping[str, str]) -> None:
        """Under `environment`, at another time perhaps. The port is another one from then on."""
        self.realm.stop()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            self.realm.start()

    def kadmin(self, command: str) -> None:
        """What a realm has no method for."""
        said = self.kadmin_talks(command)
        assert not said, said

    def kadmin_talks(self, command: str) -> str:
        """The same, of a command that says something when it goes well; what it says."""
        environment = os.environ | {"KRB5_KDC_PROFILE": str(self.realm.directory / "kdc.conf")}
        done = subprocess.run(
            [find_programs()["kadmin.local"], "-q", command],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stderr

    @contextmanager
    def sample_connector(self, *arguments: object, **environment: str) -> Iterator[Connector]:
        """The sample connector of the demo: its 401 says nothing of why."""
        with sample_connector(
            ["--name", "c1", *map(str, arguments)], self.realm.acceptor_env("c1") | environment
        ) as connector:
            yield connector

    @contextmanager
    def telling_connector(self, keytab: Path, **environment: str) -> Iterator[Connector]:
        """One that sends the acceptor's error with its 401, as mod_auth_gssapi and Windows do."""
        command = [sys.executable, str(ERROR_TOKENS), str(keytab)]
        around = os.environ | WITHOUT_AUTHORITIES | self.realm.acceptor_env("telling") | environment
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=around)
        with _serving(process) as connector:
            yield connector
