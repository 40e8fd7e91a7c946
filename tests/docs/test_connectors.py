"""docs/connectors: commands that make a second instance, the readiness request, blocks that are example files."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pyrage
import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from tests.instance.connector import Connector

from .pages import block, blocks

ROOT = Path(__file__).parents[2]


def commands(page: str) -> list[list[str]]:
    """The words of each `lbproxy instance ...` of the page, in its order."""
    lines = "".join(one.text for one in blocks(f"connectors/{page}") if one.language == "sh").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("lbproxy instance ")]


def run_on_hosts(page: str, directory: str, tmp_path: Path) -> list[tuple[str, int, str]]:
    """Run them: `pack` on the first host, the others on the second. Subcommand, exit status and output of each."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    (tmp_path / "key.pub").write_text(str(identity.to_public()))
    places = {"host-2.pub": tmp_path / "key.pub", "/etc/ssh/ssh_host_ed25519_key": tmp_path / "key"}
    done = []
    for words in commands(page):
        here = {directory: tmp_path / ("first" if words[1] == "pack" else "second"), words[-1]: tmp_path / words[-1]}
        result = CliRunner().invoke(main, [str((places | here).get(word, word)) for word in words])
        done.append((words[1], result.exit_code, result.output))
    return done


@pytest.mark.parametrize("name", ["auth0", "apono"])
def test_the_block_is_the_example(name: str) -> None:
    assert (ROOT / "config" / "examples" / f"{name}.toml").read_text() == block(
        f"connectors/{name}.md", "server_url = "
    )


def test_a_second_auth0_connector(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    first = Connector.make(tmp_path / "first", port=port)
    second = Connector.install(tmp_path / "second")
    done = run_on_hosts("auth0.md", "/opt/auth0-adldap", tmp_path)
    assert [(name, status) for name, status, _ in done] == [("pack", 0), ("apply", 0), ("apply", 0), ("diff", 0)], done
    assert second.config["SESSION_SECRET"] == first.config["SESSION_SECRET"]
    mapper = Path("lib", "profileMapper.js")
    assert (second.directory / mapper).read_bytes() == (first.directory / mapper).read_bytes()


def test_a_second_apono_connector(tmp_path: Path) -> None:
    for host in ("first", "second"):
        (tmp_path / host).mkdir()
    (tmp_path / "first" / ".env").write_text("APONO_CONNECTOR_ID=con-1\nAPONO_TOKEN=t\n")
    (tmp_path / "second" / ".env").write_text("")
    done = run_on_hosts("apono.md", "/opt/apono", tmp_path)
    assert [(name, status) for name, status, _ in done] == [("pack", 0), ("apply", 0)], done
    assert "con-1" in (tmp_path / "second" / ".env").read_text()


class Form(BaseHTTPRequestHandler):
    """Answers as the connector does: a redirect for a user that LDAP does not have, and 404 for `/`."""

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        signs_in = asked.path == "/wsfed" and query.get("wa") == ["wsignin1.0"] and query.get("username")
        self._answer(302 if signs_in and query.get("wtrealm") == ["urn:auth0:corp"] else 404)

    def do_GET(self) -> None:
        self._answer(404)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def form() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Form) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("as_printed", [True, False])
def test_the_readiness_request(tmp_path: Path, form: str, as_printed: bool) -> None:
    printed = block("connectors/auth0.md", "server_url = ")
    found = re.search(r"\[pool\.connectors\.check\]\n.*?\n\n", printed, re.DOTALL)
    assert found is not None
    pool = f'[pool.connectors]\nbackends = [{{ name = "c1", url = "{form}" }}]\n'
    text = 'server_url = "http://a.example"\n[listener.a]\nbind = "127.0.0.1:8080"\npool = "connectors"\n' + pool
    path = tmp_path / "lbproxy.toml"
    path.write_text(f'{text}{found[0] if as_printed else ""}[admin]\nbind = "unix:admin.sock"\n')
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["check", "--connect", "-c", str(path)])
    assert result.exit_code == 0, result.output
    assert ("failed: " in result.stdout) is not as_printed
    assert ('"/", the default, is 404 at c1' in result.stderr) is not as_printed
