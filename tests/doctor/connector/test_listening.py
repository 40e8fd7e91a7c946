from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.doctor.connector import listening
from lbproxy.doctor.finding import Outcome
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import only
from tests.doctor.servers import limited, runs
from tests.instance.connector import Connector
from tests.namespaces import needs_nft, needs_root, own_network, run


async def test_a_connector_that_answers(look: Looking, connector: Connector) -> None:
    sight = look()
    with runs(connector.directory) as port:
        assert only(await listening.port(look(PORT=port))).found == f"port {port} answers /wsfed with 302"
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


@needs_root
@needs_nft
async def test_a_firewall_that_drops_what_this_host_sends_to_itself(
    look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_WITHIN", 0.1)
    with own_network(), socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        run("nft", f"table inet x {{ chain in {{ type filter hook input priority 0; tcp dport {port} drop; }}; }}")
        found = only(await listening.port(look(PORT=port)))
    assert found.outcome is Outcome.WARNING
    assert "no connection from this host itself" in found.found


async def test_a_connector_of_apono(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    async with limited(1000, "") as port:
        monkeypatch.setattr(listening, "_HEALTHZ", port)
        assert only(await listening.healthz(look())).found == f"port {port} answers /healthz with 401"
