from __future__ import annotations

import importlib
import random
import tomllib
from collections.abc import Callable

import pytest

from lbproxy.errors import MigrationError
from lbproxy.migrate import haproxy, nginx
from lbproxy.migrate.migration import Backend, Listener, Migration, Pool, name_of


def test_names_that_lbproxy_takes() -> None:
    names = [name_of(text) for text in ("bk_login", "10.0.0.1:80", "-", "*.x")]
    assert names == ["bk_login", "10.0.0.1-80", "unnamed", "x"]


def test_what_is_written_is_toml() -> None:
    pool = Pool(
        "p", backends=[Backend("c1", "a:1", 2, True)], keys={"x": '"'}, tls={"verify": False}, check={"kind": "tcp"}
    )
    listener = Listener("a.b", {"bind": "x"}, {"certificate": "é"}, {"*.a": "p"})
    migration = Migration("here", "https://x", [listener], {"p": pool})
    migration.note(3, "d e", "because")
    text = migration.toml()
    assert text.startswith("# A draft made from here.")
    assert "# NOT CARRIED: line 3: d e: because\n" in text
    assert tomllib.loads(text) == {
        "server_url": "https://x",
        "listener": {"a.b": {"bind": "x", "tls": {"certificate": "é"}, "sni": {"*.a": "p"}}},
        "pool": {
            "p": {
                "backends": [{"name": "c1", "url": "http://a:1", "weight": 2, "standby": True}],
                "x": '"',
                "tls": {"verify": False},
                "check": {"kind": "tcp"},
            }
        },
    }


def test_what_is_quoted_stays_in_its_comment() -> None:
    migration = Migration("a\nserver_url = 1", "", [Listener("\U0001f600", {"bind": "\x7f"})])
    migration.note(1, "add_header X 'a\n[admin]\nbind = 1' \x1b[31m" + "x" * 10_000, "because")
    text = migration.toml()
    assert tomllib.loads(text) == {
        "server_url": "https://login.corp.example",
        "listener": {"\U0001f600": {"bind": "\x7f"}},
    }
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.splitlines())) < 300


JUNK = ["", " ", "\n", "\x00", "\x7f", "\x1b", "\u2028", "\u00b2", "us", '"', "'", "{", "}", ";", "\\", "#", "$x",
        "[::1", "a:99999", '"a\nb = 1"', "-1", "\U0001f600"]  # fmt: skip


@pytest.mark.parametrize(("name", "read"), [("haproxy", haproxy.read), ("nginx", nginx.read)])
def test_whatever_the_file_has_the_draft_is_toml(name: str, read: Callable[[str, str], Migration]) -> None:
    """Or an error that names the line; two hundred files, each with up to three words exchanged."""
    module = importlib.import_module(f"tests.migrate.test_{name}")
    chance, told = random.Random(17), list[str]()
    for _ in range(200):
        words = module.WHOLE.split(" ")
        for _ in range(chance.randint(1, 3)):
            words[chance.randrange(len(words))] = chance.choice(JUNK)
        try:
            tomllib.loads(read(" ".join(words), "f").toml())
        except MigrationError as error:
            told.append(str(error))
    assert all(one.startswith("f:") for one in told)
