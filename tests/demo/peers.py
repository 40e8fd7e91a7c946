"""The other ends in these tests: a user with a ticket, and a connector process to talk to."""

from __future__ import annotations

import http.client
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import gssapi

from tests.e2e.starting import ForkedAtOnce, connector_at_once
from tests.pki import WITHOUT_AUTHORITIES

HOST = "login.corp.example"
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")


class Ticket:
    """One SPNEGO exchange of a user: `authorization` to send, and the server's answer to verify."""

    def __init__(self, ccache: str, host: str = HOST) -> None:
        self.context = gssapi.SecurityContext(
            name=gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service),
            creds=gssapi.Credentials(usage="initiate", store={"ccache": ccache}),
            mech=SPNEGO,
            flags=gssapi.RequirementFlag.mutual_authentication,
            usage="initiate",
        )
        self.token = self.context.step()
        self.authorization = f"Negotiate {b64encode(self.token).decode()}"

    def verify(self, www_authenticate: str | None) -> bool:
        """Whether the server proved that it holds the service's key."""
        scheme, _, token = (www_authenticate or "").partition(" ")
        assert scheme == "Negotiate"
        self.context.step(b64decode(token, validate=True))
        return bool(self.context.complete)


@dataclass
class RunningConnector:
    process: subprocess.Popen[str] | ForkedAtOnce
    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)


def start_connector(arguments: Sequence[str], environment: dict[str, str]) -> RunningConnector:
    process = connector_at_once(arguments, os.environ | WITHOUT_AUTHORITIES | environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening: "), line
    return RunningConnector(process, line.removeprefix("listening: ").strip())
