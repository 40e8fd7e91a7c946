"""The connector as a process, met as a user meets it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.demo.authority import Authority
from lbproxy.demo.connector import main
from lbproxy.demo.journal import read_journal
from lbproxy.demo.realm import Realm

from .peers import HOST, RunningConnector, Ticket

Start = Callable[..., RunningConnector]


def test_curl_signs_in_with_a_ticket(connector: Start, realm: Realm, keytab: Path) -> None:
    one = connector("--keytab", keytab, "--spn-host", HOST)
    command = ["curl", "-sS", "--negotiate", "-u", ":", "--resolve", f"{HOST}:{one.port}:127.0.0.1"]
    done = subprocess.run(
        [*command, f"http://{HOST}:{one.port}/wsfed"],
        env=os.environ | realm.kinit("alice"),
        capture_output=True,
        text=True,
    )
    assert '"user": "alice@CORP.EXAMPLE"' in done.stdout, done.stderr


def test_a_ticket_is_accepted_once_by_each_instance(
    connector: Start, login: Callable[..., Ticket], keytab: Path
) -> None:
    """The instances keep a replay cache each, as they do on machines of their own."""
    authorization = {"Authorization": login().authorization}
    statuses = []
    for one in (connector("--keytab", keytab), connector("--keytab", keytab)):
        connection = one.connect()
        for _ in range(2):
            connection.request("GET", "/wsfed", headers=authorization)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
    assert statuses == [200, 401, 200, 401]


def test_a_large_ticket_reaches_the_acceptor(connector: Start, keytab: Path) -> None:
    connection = connector("--keytab", keytab).connect()
    connection.request("GET", "/wsfed", headers={"Authorization": "Negotiate " + "A" * 64 * 1024})
    assert connection.getresponse().status == 401
    connection.close()


def test_the_header_limit(connector: Start) -> None:
    connection = connector("--max-header", 1000).connect()
    connection.request("GET", "/healthz", headers={"X-Large": "x" * 2000})
    assert connection.getresponse().status == 400
    connection.close()


def test_the_user_of_a_client_certificate(connector: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, alice = authority.server(["127.0.0.1"]), authority.user("alice")
    one = connector(
        "--tls-cert", server.certificate, "--tls-key", server.key, "--client-ca", authority.pair.certificate
    )
    assert one.url.startswith("https://127.0.0.1:")
    anonymous = ssl.create_default_context(cafile=authority.pair.certificate)
    known = ssl.create_default_context(cafile=authority.pair.certificate)
    known.load_cert_chain(alice.certificate, alice.key)
    answers = []
    for context in (known, anonymous):
        connection = http.client.HTTPSConnection("127.0.0.1", one.port, context=context, timeout=20)
        connection.request("GET", "/wsfed")
        answers.append(connection.getresponse().read().decode())
        connection.close()
    assert '"user": "alice"' in answers[0]
    assert '"how": "certificate"' in answers[0]
    assert '"certificate_issuer": "lbproxy demo CA"' in answers[0]
    assert "<form" in answers[1]


def test_an_idle_connection_stays_open_between_requests(connector: Start) -> None:
    connection = connector().connect()
    for _ in range(3):
        connection.request("GET", "/users")
        assert b'"connection": 1,' in connection.getresponse().read()
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_idle_connections(connector: Start, number: signal.Signals) -> None:
    one = connector()
    connection = one.connect()
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    one.process.send_signal(number)
    assert one.process.wait(timeout=20) == 0
    assert connection.sock.recv(1) == b""
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        one.connect().connect()


def test_a_request_in_flight_is_answered_after_the_signal(connector: Start) -> None:
    one = connector()
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as client, client.makefile("rb") as answer:
        client.sendall(b"POST /users HTTP/1.1\r\nHost: c1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        one.process.terminate()
        client.sendall(b"body")
        assert answer.readline() == b"\r\n"
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
    assert one.process.wait(timeout=20) == 0


def test_a_killed_connector_has_kept_its_journal(connector: Start, tmp_path: Path) -> None:
    one = connector("--journal", tmp_path / "journal")
    connection = one.connect()
    connection.request("GET", "/users", headers={"X-Request-ID": "last"})
    connection.getresponse().read()
    connection.close()
    one.process.kill()
    one.process.wait()
    assert [entry.id for entry in read_journal(tmp_path / "journal")] == ["last"]


def test_a_port_that_is_taken(connector: Start, capsys: pytest.CaptureFixture[str]) -> None:
    one = connector()
    assert main(["--name", "c2", "--port", str(one.port)]) == 1
    assert "connector c2: " in capsys.readouterr().err


def test_a_keytab_without_gssapi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)  # what an import of a missing package meets
    assert main(["--name", "c1", "--keytab", "any.keytab"]) == 1
    assert "install lbproxy[kerberos]" in capsys.readouterr().err
