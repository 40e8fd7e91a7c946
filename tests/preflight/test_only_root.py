from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lbproxy.config import Config, load
from lbproxy.preflight import Report
from lbproxy.preflight.only_root import named_files, warn_of_root_only

FILE = """
server_url = "https://login.test"
access_log.path = "log/access.log"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
tls.certificate = "login.pem"
tls.key = "keys/login.key"
tls.client_certificate = "required"
tls.client_ca = "ca.pem"
tls.client_crl = ["a.crl", "b.crl"]
[pool.connectors]
backends = [{ name = "c1", url = "https://127.0.0.1:9" }]
tls.ca = "ca.pem"
check.kind = "kerberos"
check.kerberos = { principal = "a@B", keytab = "/etc/probe.keytab", spn = "HTTP@login.test" }
"""

NAMES = ("login.pem", "keys/login.key", "ca.pem", "a.crl", "b.crl")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of root's")


@pytest.fixture
def home() -> Iterator[Path]:
    """Open to all, as is the way to it; pytest's own directories are not."""
    with TemporaryDirectory() as path:
        directory = Path(path)
        directory.chmod(0o755)
        (directory / "keys").mkdir(mode=0o755)
        for name in NAMES:
            (directory / name).touch(mode=0o644)
        (directory / "lb.toml").write_text(FILE)
        yield directory


def config(home: Path) -> Config:
    return load(home / "lb.toml")


def warnings(home: Path, report: Report) -> list[str]:
    warn_of_root_only(report, home / "lb.toml", config(home))
    return [str(warning) for warning in report.warnings]


def test_finds_every_file_that_is_read(home: Path) -> None:
    assert dict(named_files(config(home))) == {
        "listener.login.tls.certificate": home / "login.pem",
        "listener.login.tls.key": home / "keys/login.key",
        "listener.login.tls.client_ca": home / "ca.pem",
        "listener.login.tls.client_crl[0]": home / "a.crl",
        "listener.login.tls.client_crl[1]": home / "b.crl",
        "pool.connectors.tls.ca": home / "ca.pem",
        "pool.connectors.check.kerberos.keytab": Path("/etc/probe.keytab"),
    }


def test_what_others_can_read_is_fine(home: Path, report: Report) -> None:
    os.chown(home / "keys/login.key", 0, 1)
    (home / "keys/login.key").chmod(0o640)
    os.chown(home / "a.crl", 1, 0)
    (home / "a.crl").chmod(0o400)
    assert warnings(home, report) == []


def test_a_file_of_root_alone(home: Path, report: Report) -> None:
    key = home / "keys/login.key"
    key.chmod(0o640)
    assert warnings(home, report) == [
        f"listener.login.tls.key: only root can read {key}: it is open to root alone; --user NAME tells more"
    ]


def test_a_directory_of_root_alone(home: Path, report: Report) -> None:
    """It may be read, and not entered."""
    (home / "keys").chmod(0o744)
    assert warnings(home, report) == [
        f"listener.login.tls.key: only root can read {home}/keys/login.key: "
        f"below {home}/keys it is open to root alone; --user NAME tells more"
    ]


def test_the_file_itself(home: Path, report: Report) -> None:
    (home / "lb.toml").chmod(0o600)
    [warning] = warnings(home, report)
    assert warning.startswith(f"the file: only root can read {home}/lb.toml: it is open")
