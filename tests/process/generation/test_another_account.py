from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lbproxy.errors import ConfigError, StartError
from lbproxy.preflight import Report
from lbproxy.process.generation.another_account import inspect_as
from lbproxy.process.generation.privileges import Account, account_of
from tests.pki import DAY, Authority

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "unix:run/login.sock"
pool = "connectors"
tls = { certificate = "certs/login.pem", key = "certs/login.key" }
[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
[admin]
bind = "127.0.0.1:0"
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A configuration that everybody may read; in run/ only nobody may write."""
    with TemporaryDirectory() as path:
        directory = Path(path)
        directory.chmod(0o755)
        (directory / "certs").mkdir(mode=0o755)
        (directory / "run").mkdir(mode=0o755)
        os.chown(directory / "run", pwd.getpwnam("nobody").pw_uid, -1)
        Authority.root().server("login.test", ends=90 * DAY).write(directory / "certs", "login")
        (directory / "lb.toml").write_text(FILE)
        yield directory


def look(home: Path, account: Account, *made_at_start: Path) -> Report:
    return inspect_as(account, home / "lb.toml", datetime.now(UTC), made_at_start)


def problems(home: Path, account: Account, *made_at_start: Path) -> list[str]:
    return [str(problem) for problem in look(home, account, *made_at_start).problems]


def test_it_looks_with_the_eyes_of_the_account_and_this_process_stays(home: Path) -> None:
    report = look(home, account_of("nobody"))
    assert report.problems == []
    assert [expiry.where for expiry in report.expiries] == ["listener.login.tls.certificate"]
    assert os.geteuid() == 0
    run = home / "run"
    assert problems(home, account_of("daemon")) == [f"listener.login.bind: the directory {run} may not be written"]
    assert problems(home, account_of("root")) == []


def test_a_key_and_its_groups(home: Path) -> None:
    """A supplementary group is enough."""
    key = home / "certs/login.key"
    os.chown(key, 0, 12)
    key.chmod(0o640)
    assert problems(home, account_of("nobody")) == [f"listener.login.tls.key: {key}: Permission denied"]
    assert problems(home, account_of("nobody", None, ["12"])) == []
    assert problems(home, account_of("nobody", "12")) == []


def test_every_directory_on_the_way(home: Path) -> None:
    (home / "certs").chmod(0o700)
    assert len(problems(home, account_of("nobody"))) == 2
    (home / "lb.toml").chmod(0o600)
    with pytest.raises(ConfigError, match=r"lb\.toml: cannot be read: Permission denied"):
        look(home, account_of("nobody"))


def test_a_directory_that_the_service_manager_makes(home: Path) -> None:
    (home / "run").rmdir()
    assert problems(home, account_of("nobody")) == [
        f"listener.login.bind: the directory {home} may not be written",
    ]
    assert problems(home, account_of("nobody"), home / "run") == []


def test_a_child_that_fails_says_so(home: Path) -> None:
    nobody = account_of("nobody")
    with pytest.raises(StartError, match="'nobody' can become root again"):
        look(home, nobody._replace(uid=2**32 - 1))  # which is setresuid(2)'s "leave it"
    with pytest.raises(StartError, match="OverflowError"):
        look(home, nobody._replace(uid=2**40))
