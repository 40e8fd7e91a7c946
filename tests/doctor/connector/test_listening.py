from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbproxy.doctor.connector import listening
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import only, told
from tests.doctor.servers import limited
from tests.instance.connector import Connector

SERVER = """
import socket, sys
sock = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(sock.getsockname()[1], flush=True)
while True:
    client, _ = sock.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 302 Found\\r\\nContent-Length: 0\\r\\n\\r\\n")
    client.close()
"""


@contextmanager
def runs(directory: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """server.js of a connector's directory as a process; its port."""
    (directory / "server.js").write_text(SERVER)
    command = [sys.executable, "server.js", host, str(port)]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def test_a_connector_that_answers(look: Looking, connector: Connector) -> None:
    sight = look()
    with runs(connector.directory) as port:
        assert only(await listening.port(look(PORT=port))).found == f"port {port} answers /wsfed with 302"
        assert told(await listening.firewall(look(PORT=port))) == [f"ok: PORT {port} is reached from this host only"]
    assert sight.asked.kind == "auth0"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, ": with neither KERBEROS_AUTH nor CLIENT_CERT_AUTH the connector listens nowhere"),
        ({"KERBEROS_AUTH": True}, ": with KERBEROS_AUTH, and without WITH_KERBEROS_PROXY_FRONTEND, it listens on"),
        ({"KERBEROS_AUTH": True, "WITH_KERBEROS_PROXY_FRONTEND": True}, ""),
        ({"CLIENT_CERT_AUTH": True}, ""),
    ],
)
async def test_nobody_listens(look: Looking, connector: Connector, settings: dict[str, bool], why: str) -> None:
    with runs(connector.directory) as port:
        pass
    found = only(await listening.port(look(PORT=port, **settings)))
    assert found.outcome is Outcome.PROBLEM
    assert found.found.removesuffix(" Windows only") == f"nothing listens on PORT {port}{why}"
    assert found.repair
    with pytest.raises(UnseenError):
        await listening.firewall(look(PORT=port))


async def test_a_port_that_another_process_has(look: Looking, connector: Connector, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with runs(connector.directory), runs(tmp_path / "other") as port:
        found = only(await listening.port(look(PORT=port)))
    assert found.outcome is Outcome.PROBLEM
    assert "is taken by process" in found.found
    assert "which is not the connector" in found.found


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (b"HTTP/1.1 500 Error\r\n\r\n", Outcome.WARNING, "with 500"),
        (b"SSH-2.0-OpenSSH\r\n", Outcome.PROBLEM, "does not speak HTTP"),
        (b"", Outcome.PROBLEM, "does not speak HTTP"),
        (b"x" * 100_000, Outcome.PROBLEM, "does not speak HTTP"),
    ],
)
async def test_what_it_answers(look: Looking, answer: bytes, outcome: Outcome, words: str) -> None:
    async with limited(1, "", answer) as port:
        found = only(await listening.port(look(PORT=port)))
    assert found.outcome is outcome
    assert words in found.found


async def test_one_that_accepts_and_hangs(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found = only(await listening.port(look(PORT=sock.getsockname()[1])))
    assert found.outcome is Outcome.PROBLEM
    assert "accepts, and does not answer" in found.found


def rules(monkeypatch: pytest.MonkeyPatch, directory: Path, text: str | None) -> None:
    """A firewall with these rules, or one that this account may not see."""
    directory.mkdir(exist_ok=True)
    program = directory / "nft"
    program.write_text("#!/bin/sh\nexit 1\n" if text is None else f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    program.chmod(0o755)
    for name in ("iptables-save", "ip6tables-save"):
        (directory / name).write_text("#!/bin/sh\nexit 1\n")
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("text", "settings", "outcome"),
    [
        (None, {}, Outcome.UNSEEN),
        ("table inet filter {}", {}, Outcome.WARNING),
        ("table inet filter {}", {"WITH_KERBEROS_PROXY_FRONTEND": True}, Outcome.PROBLEM),
        ("type filter hook input priority 0; policy drop;", {"KERBEROS_AUTH": True}, Outcome.OK),
        ("ip saddr != 10.0.0.1 tcp dport PORT drop", {"KERBEROS_AUTH": True}, Outcome.OK),
    ],
)
async def test_from_where_it_can_be_reached(
    look: Looking,
    connector: Connector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    settings: dict[str, object],
    outcome: Outcome,
) -> None:
    monkeypatch.setattr(listening, "listeners", lambda port: [listening.Socket(listening._address("00000000"), None)])
    rules(monkeypatch, tmp_path / "bin", None if text is None else text.replace("PORT", "4000"))
    found = only(await listening.firewall(look(**settings)))
    assert found.outcome is outcome
    if outcome is Outcome.PROBLEM:
        assert "A forged X-Forwarded-User" in found.why
        assert "tcp dport 4000 drop" in found.repair


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("tcp dport { 80, 4000 } accept", True),
        ("-A INPUT -p tcp -m tcp --dport 4000 -j DROP", True),
        (":INPUT DROP [0:0]", True),
        ("tcp dport 40001 drop", False),
        (":FORWARD DROP [0:0]", False),
    ],
)
def test_rules_about_a_port(text: str, about: bool) -> None:
    assert listening.mentions(text, 4000) is about


def test_addresses_as_the_kernel_writes_them() -> None:
    assert str(listening._address("0100007F")) == "127.0.0.1"
    assert str(listening._address("00000000000000000000000001000000")) == "::1"
    assert str(listening._address("0000000000000000FFFF00000100007F")) == "127.0.0.1"


def test_who_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        [found] = listening.listeners(sock.getsockname()[1])
    assert (str(found.address), found.pid) == ("127.0.0.1", os.getpid())


async def test_the_admin_console(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        monkeypatch.setattr(listening, "_CONSOLE", sock.getsockname()[1])
        assert only(listening.console(look())).outcome is Outcome.WARNING
    assert only(listening.console(look())).outcome is Outcome.OK


async def test_a_connector_of_apono(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    async with limited(1000, "") as port:
        monkeypatch.setattr(listening, "_HEALTHZ", port)
        assert only(await listening.healthz(look())).found == f"port {port} answers /healthz with 401"
