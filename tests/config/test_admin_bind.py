from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config import Address, admin_bind
from lbproxy.config.admin_default import admin_default

DEFAULT = admin_default({})
BIND = '[admin]\nbind = "127.0.0.1:9000"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lbproxy.toml"


@pytest.mark.parametrize(
    "text",
    [
        BIND,
        f"server_url = 1\nno_such_key = 2\n{BIND}unknown = true\n[pool.x]\nbackends = []\n",
        'admin.bind = "127.0.0.1:9000"',
        'admin = { bind = "127.0.0.1:9000" }',
    ],
)
def test_nothing_else_of_the_file_is_judged(path: Path, text: str) -> None:
    path.write_text(text)
    assert admin_bind(path) == (Address("127.0.0.1", 9000), "")


@pytest.mark.parametrize(
    "text",
    [
        f"server_url = https://login.corp.example\n{BIND}",
        f"{BIND}[pool.x\nbackends = []\n",
        f"[listener.a]\nbind = \n  [ admin ]  # operators\n{BIND.partition(chr(10))[2]}\n[pool.x]\n",
        f"{BIND}[[[",
        BIND + '[pool.x]\nbackends = [{ name = "c1" url = "x" }]',
    ],
)
def test_a_mistake_elsewhere_does_not_hide_it(path: Path, text: str) -> None:
    path.write_text(text)
    assert admin_bind(path) == (Address("127.0.0.1", 9000), "")


@pytest.mark.parametrize("text", ["", "[admin]\nhealth = 'x'\n", "admin = 1"])
def test_a_file_without_it_means_the_default(path: Path, text: str) -> None:
    path.write_text(text)
    assert admin_bind(path, {}) == (DEFAULT, "")


def test_a_socket_is_below_the_files_directory_and_may_name_a_variable(path: Path) -> None:
    path.write_text('[admin]\nbind = "unix:${WHERE}/a.sock"')
    assert admin_bind(path, {"WHERE": "run"}).address == Address(path=path.parent / "run/a.sock")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[admin]\nbind = \n", ":2: not TOML: Invalid value"),
        ("[admin\nbind = 'unix:a.sock'\n", ":1: not TOML: Expected ']' at the end of a table declaration"),
        ("[admin]\nhealth = '127.0.0.1:1'\n[pool\n", ":3: not TOML: Expected ']' at the end of a table declaration"),
        ("[admin]\nbind = 9000\n", ": admin.bind: must be a string"),
        ("[admin]\nbind = 'here'\n", ": admin.bind: 'here' is not host:port, [v6]:port or unix:PATH"),
        ("[admin]\nbind = 'unix:${WHERE}'\n", ": admin.bind: the environment variable WHERE is not set"),
    ],
)
def test_a_file_that_cannot_say_it_means_the_default_and_why(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    assert admin_bind(path, {}) == (DEFAULT, f"{path}{problem}")


def test_a_file_that_cannot_be_read(path: Path) -> None:
    assert admin_bind(path, {}) == (DEFAULT, f"{path}: cannot be read: No such file or directory")
    path.write_bytes(b"\xff")
    assert admin_bind(path, {}) == (DEFAULT, f"{path}: cannot be read: byte 0 is not UTF-8")
