"""docs/connectors/auth0.md: the Apache in front of a connector, with a ticket of a real KDC and a forged header."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.demo.realm import Realm
from tests.pki import Authority
from tests.ports import free_port

from .pages import block

NAME = "login.corp.example"
MODULES = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "headers", "proxy", "proxy_http")
"""What Debian's Apache has loaded and this needs, and what the page's a2enmod adds."""

AROUND = """\
ServerRoot {directory}
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
ErrorLog /dev/stderr
ErrorLogFormat "%M"
LogLevel notice
{modules}
{user}
Include {directory}/login.conf
"""


class Connector(BaseHTTPRequestHandler):
    """Says which headers it got."""

    def do_GET(self) -> None:
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def connector() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Connector) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with Realm(tmp_path_factory.mktemp("realm")) as realm:
        realm.add_user("alice", "secret")
        yield realm


@pytest.fixture(scope="module")
def apache(realm: Realm) -> Iterator[int]:
    """The page's site; only its ports and the keytab's path are those of this test."""
    with tempfile.TemporaryDirectory(prefix="lbproxy-apache-") as name, connector() as behind:
        directory, port = Path(name), free_port()
        environment = open_to_apache(directory, realm)
        keytab = str(directory / "login.keytab")
        changes = {"4080": str(port), "127.0.0.1:4000": f"127.0.0.1:{behind}", "/etc/apache2/login.keytab": keytab}
        site = block("connectors/auth0.md", "<VirtualHost")
        for printed, here in changes.items():
            assert printed in site
            site = site.replace(printed, here)
        (directory / "login.conf").write_text(site.replace(f"Listen {port}", f"Listen 127.0.0.1:{port}"))
        modules = "\n".join(f"LoadModule {one}_module /usr/lib/apache2/modules/mod_{one}.so" for one in MODULES)
        user = "User nobody\nGroup nogroup" if os.getuid() == 0 else ""
        (directory / "apache.conf").write_text(AROUND.format(directory=directory, modules=modules, user=user))
        with serving(directory / "apache.conf", environment):
            yield port


def open_to_apache(directory: Path, realm: Realm) -> dict[str, str]:
    """A keytab and a krb5.conf that every user may read, and an environment with them: the realm is thrown away."""
    directory.chmod(0o755)
    shutil.copyfile(realm.add_service(f"HTTP/{NAME}"), directory / "login.keytab")
    shutil.copyfile(realm.directory / "krb5.conf", directory / "krb5.conf")
    (directory / "replay").mkdir()
    (directory / "replay").chmod(0o777)
    return {"KRB5_CONFIG": str(directory / "krb5.conf"), "KRB5RCACHENAME": f"file2:{directory}/replay/apache"}


@contextmanager
def serving(file: Path, environment: dict[str, str]) -> Iterator[None]:
    command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", str(file)]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if "AH00489" in line:  # resuming normal operations
                    break
            else:
                raise AssertionError(f"Apache does not start:\n{''.join(said)}")
            yield
        finally:
            process.terminate()


def ask(port: int, environment: dict[str, str], *options: str) -> tuple[int, str]:
    """Status and body."""
    options = ("--resolve", f"{NAME}:{port}:127.0.0.1", "-H", f"Host: {NAME}", "-w", "\n%{http_code}", *options)
    command = ["curl", "-sS", *options, f"http://{NAME}:{port}/wsfed"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


FORGED = [word for name in ("X-Forwarded-User", "X-IISNode-LOGON_USER") for word in ("-H", f"{name}: CORP\\admin")]


def test_a_ticket_names_the_user_whatever_the_client_says(realm: Realm, apache: int) -> None:
    status, body = ask(
        apache, realm.kinit("alice"), "--negotiate", "-u", ":", "-H", "X-Forwarded-Proto: https", *FORGED
    )
    seen = json.loads(body)
    assert status == 200
    assert seen["X-Forwarded-User"] == "alice@CORP.EXAMPLE"
    assert seen["X-Forwarded-Proto"] == "https"
    assert seen["Host"] == NAME
    assert not seen.keys() & {"Authorization", "X-IISNode-LOGON_USER", "X-Forwarded-Host"}


def test_the_balancers_file_signs_in_at_each(
    realm: Realm, apache: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed commands, with the paths and ports of this test; both backends are the one Apache."""
    authority = Authority.root().server(NAME).write(tmp_path, "login")
    places = {
        "/etc/lbproxy/certs/login.pem": authority.chain,
        "/etc/lbproxy/certs/login.key": authority.key,
        "/etc/lbproxy/probe.keytab": realm.add_service("svc-probe"),
        "/etc/lbproxy/lbproxy.toml": tmp_path / "lbproxy.toml",
        "http://10.0.0.11:4080": f"http://127.0.0.1:{apache}",
        "http://10.0.0.12:4080": f"http://localhost:{apache}",
    }
    monkeypatch.setenv("KRB5_CONFIG", realm.env["KRB5_CONFIG"])
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    lines = block("connectors/auth0.md", "lbproxy init").replace("\\\n", "").splitlines()
    assert len(lines) == 2
    for line in lines:
        words = [str(places.get(word, word)) for word in shlex.split(line)[1:]]
        result = CliRunner(env={"COLUMNS": "200"}).invoke(main, words)
        assert result.exit_code == 0, result.output
    assert result.stdout.count("ok: 200, signed in") == 2


def test_without_one_there_is_no_user(realm: Realm, apache: int) -> None:
    status, body = ask(apache, realm.env, *FORGED)
    assert (status, "X-Forwarded-User" in body) == (401, False)


def test_a_ticket_of_120_kib_fits(realm: Realm, apache: int) -> None:
    """It is no ticket: the answer is 401, and not 400 of a header that is too large."""
    size = 120 * 1024
    status, _ = ask(apache, realm.env, "-H", f"Authorization: Negotiate {'A' * size}")
    assert status == 401
