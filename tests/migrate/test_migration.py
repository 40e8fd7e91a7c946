from __future__ import annotations

import tomllib

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
