"""What can be compared: directories, packs, facts in a file or at a URL."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.facts import read_facts
from lbproxy.instance.kinds import load
from lbproxy.instance.model import Where
from lbproxy.instance.operand import Reader
from lbproxy.instance.sealing import Identity
from tests.instance.connector import Connector

READER = Reader("auth0", Where(Path()))


@pytest.fixture
def connector(tmp_path: Path) -> Connector:
    return Connector.make(tmp_path / "c")


def test_a_directory_with_its_environment(connector: Connector, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SERVER_URL=https://env\n")
    assert READER.read(str(connector.directory)).facts["server_url"] == "https://login.corp.example"
    assert READER.read(str(connector.directory), tmp_path / "env").facts["server_url"] == "https://env"


def test_a_pack_with_and_without_its_key(connector: Connector, tmp_path: Path, identity: Identity) -> None:
    pack.write(load("auth0", Where(connector.directory)), identity, tmp_path / "c.pack")
    closed = READER.read(str(tmp_path / "c.pack"))
    opened = Reader("auth0", Where(Path()), identity).read(str(tmp_path / "c.pack"))
    assert closed.instance is None
    assert opened.instance is not None
    assert (closed.facts, closed.key_id, closed.values) == (opened.facts, opened.key_id, opened.values)


def test_facts_in_a_file(connector: Connector, tmp_path: Path) -> None:
    told = read_facts("auth0", Where(connector.directory))
    (tmp_path / "c.json").write_text(told.model_dump_json())
    found = READER.read(str(tmp_path / "c.json"))
    assert (found.facts, found.key_id, found.values) == (told.facts, told.key_id, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is neither a directory, nor a pack, nor the facts"),
        ("[]", "is neither a directory"),
        ('{"kind": "auth0"}', "is neither a directory"),
        ('{"kind": "x", "key_id": "", "facts": {}}', "'x' is no kind of instance"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(InstanceError, match=problem):
        READER.read(str(tmp_path / "x"))
    with pytest.raises(InstanceError, match="missing: No such file"):
        READER.read(str(tmp_path / "missing"))


@contextmanager
def saying(answer: bytes, pause: float = 0.0) -> Iterator[str]:
    """The URL of a server that reads a request and sends that, a byte at a time if there is a pause after each."""

    def serve() -> None:
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    for part in [answer] if not pause else [bytes([one]) for one in answer]:
                        connection.sendall(part)
                        ended.wait(pause)

    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/facts"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"garbage\x1b[31m\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "the answer was cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "302 Found"),
        (b"", "it closed the connection"),
    ],
)
def test_an_answer_that_is_none(answer: bytes, problem: str) -> None:
    with saying(answer) as url, pytest.raises(InstanceError) as raised:
        READER.read(url)
    assert str(raised.value) == f"{url}: {problem}"


def test_an_answer_that_comes_byte_by_byte_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.instance.operand._TIMEOUT", 0.2)
    with (
        saying(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10_000, pause=0.01) as url,
        pytest.raises(InstanceError, match=r"no answer within 0\.2 s"),
    ):
        READER.read(url)


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999/", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(InstanceError, match=": is no URL"):
        READER.read(url)


def test_a_fifo_is_no_pack(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InstanceError, match="not a regular file"):
        READER.read(str(tmp_path / "fifo"))


def test_a_url() -> None:
    told = {"kind": "auth0", "key_id": "k", "facts": {"version": "6.1.2"}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = {"/facts": (200, json.dumps(told)), "/huge": (200, " " * 300_000)}.get(self.path, (503, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert READER.read(f"{url}/facts").facts == told["facts"]
            with pytest.raises(InstanceError, match="Service Unavailable"):
                READER.read(f"{url}/other")
            with pytest.raises(InstanceError, match="is too long to be facts"):
                READER.read(f"{url}/huge")
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(InstanceError, match=f"{url}/facts: .*refused"):
        READER.read(f"{url}/facts")
