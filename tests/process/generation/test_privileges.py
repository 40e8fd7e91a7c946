"""Becoming somebody with fewer rights; tests/e2e/test_user.py has whole processes that do."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import StartError
from lbproxy.preflight import Report
from lbproxy.process.generation.privileges import account_of, assume, can_assume, owner
from lbproxy.process.master.listening_sockets import MAKER
from tests.e2e.surroundings import open_to_all

FILE = """
server_url = "http://login.test"
{top}
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:9" }}]
"""

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

Make = Callable[[str], Config]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(top: str) -> Config:
        path = tmp_path / "lb.toml"
        path.write_text(FILE.format(top=top))
        return load(path)

    return made


def assumed(config: Config) -> list[str]:
    report = Report(datetime.now(UTC))
    assume(config, report)
    return [str(problem) for problem in report.problems]


def test_without_a_user_nothing_changes(make: Make) -> None:
    config = make("")
    assert assumed(config) == []
    assert can_assume(config)
    assert owner(config) == MAKER


@ROOT_ONLY
@pytest.mark.parametrize(
    ("top", "problem"),
    [
        ('user = "no-such-user"', "user: this machine has no user 'no-such-user'"),
        (r'user = "no\u0000body"', r"user: this machine has no user 'no\x00body'"),
        ('user = "nobody"\ngroup = "\\u0000"', r"group: this machine has no group '\x00'"),
        ('user = "root"', "user: 'root' has the rights of root, of which lbproxy is to be rid"),
        ('user = "nobody"\ngroup = "no-such-group"', "group: this machine has no group 'no-such-group'"),
    ],
)
def test_who_cannot_be_assumed(make: Make, top: str, problem: str) -> None:
    assert assumed(make(top)) == [problem]


def test_the_account_of_a_service() -> None:
    nobody = pwd.getpwnam("nobody")
    assert account_of("nobody") == ("nobody", nobody.pw_uid, nobody.pw_gid, (nobody.pw_gid,))
    assert account_of(str(nobody.pw_uid), "daemon", ["root", "0"])[1:] == (nobody.pw_uid, 1, (1, 0))
    assert account_of("root").uid == 0
    for user, group in (("no-such-user", None), ("99999999", None), ("root", "no-such-group"), ("root", "9" * 30)):
        with pytest.raises(StartError, match="this machine has no"):
            account_of(user, group)


PROGRAM = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from lbproxy.config import load
from lbproxy.preflight import Report
from lbproxy.process.generation.privileges import assume, can_assume, owner
config, other = (load(Path(path)) for path in sys.argv[1:])
report = Report(datetime.now(UTC))
assume(config, report)
print(report.problems, os.getresuid(), os.getresgid(), os.getgroups(), tuple(owner(config)), can_assume(other))
with open("/proc/self/status") as status:
    print(*(line for line in status if line.startswith(("CapEff", "CapPrm", "CapAmb", "NoNewPrivs"))))
for again in (config, other):  # being the user is enough, and becoming another one is not possible any more
    report = Report(datetime.now(UTC))
    assume(again, report)
    print([str(problem) for problem in report.problems])
"""


UNREADABLE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import lbproxy
from lbproxy.config import load
from lbproxy.preflight import Report
from lbproxy.process.generation.privileges import assume
lbproxy.__file__ = sys.argv[2]
report = Report(datetime.now(UTC))
assume(load(Path(sys.argv[1])), report)
print(*report.problems)
"""


@ROOT_ONLY
def test_a_program_that_the_user_may_not_read_is_named(make: Make, tmp_path: Path) -> None:
    make('user = "nobody"')
    closed = tmp_path / "program.py"
    closed.touch(mode=0o600)
    command = [sys.executable, "-c", UNREADABLE, str(tmp_path / "lb.toml"), str(closed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"user: 'nobody' may not read the program that it runs, {closed}\n"


@ROOT_ONLY
def test_nothing_is_left_of_root(tmp_path: Path) -> None:
    nobody, daemon = pwd.getpwnam("nobody"), grp.getgrnam("daemon").gr_gid
    paths = [tmp_path / "lb.toml", tmp_path / "other.toml"]
    for path, top in zip(paths, ('user = "nobody"\ngroup = "daemon"', 'user = "daemon"'), strict=True):
        path.write_text(FILE.format(top=top))
    command = [*open_to_all().under, sys.executable, "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    expected: list[object] = [[], (nobody.pw_uid,) * 3, (daemon,) * 3, [daemon], (nobody.pw_uid, daemon), False]
    assert lines[0] == " ".join(map(str, expected))
    assert {line.split()[0]: int(line.split()[1], 16) for line in lines[1:5]} == {
        "CapPrm:": 0,
        "CapEff:": 0,
        "CapAmb:": 0,
        "NoNewPrivs:": 1,
    }
    assert lines[5] == "[]"
    assert lines[6] == f"[\"user: only root can become 'daemon', and lbproxy was started as user {nobody.pw_uid}\"]"
