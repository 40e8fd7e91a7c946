from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.migrate.haproxy import read

WHOLE = """
global
    maxconn 4096
    user haproxy
defaults
    mode http
    timeout connect 5s
    timeout client 50000
    timeout server 1500
    option httplog
frontend login
    bind *:443 ssl crt /etc/haproxy/login.pem alpn h2 ssl-min-ver TLSv1.3 ca-file users.pem verify required crl-file u
    bind [::]:443 accept-proxy
    acl x path_beg /x
    use_backend other if x
    maxconn 2000
    default_backend "connectors"
backend connectors
    balance leastconn
    cookie SRV insert
    option httpchk GET /health
    http-check expect status 200,300-399
    default-server inter 2s fall 3 rise 2
    server c1 10.0.0.11:4000 check cookie c1 ssl ca-file ca.pem sni str(login.test)
    server c2 10.0.0.12:4000 check weight 200 backup
listen raw
    mode tcp
    bind :8443
    server r1 10.0.0.1:443 send-proxy-v2
frontend sni
    mode tcp
    bind 127.0.0.1:9443
    use_backend raw if { req_ssl_sni -i A.example b.example }
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path / "lbproxy.toml", {}, read(WHOLE, "haproxy.cfg").toml())


def test_listeners(config: Config, tmp_path: Path) -> None:
    login, second, raw, sni = config.listeners.values()
    assert (str(login.bind), login.pool, login.idle_timeout, login.max_connections) == (
        "0.0.0.0:443",
        "connectors",
        50,
        2000,
    )
    assert str(second.bind) == "[::]:443"
    assert login.tls is not None
    assert login.tls.certificate == login.tls.key == Path("/etc/haproxy/login.pem")
    assert (login.tls.minimum_version, login.tls.client_certificate) == ("1.3", "required")
    assert (login.tls.client_ca, login.tls.client_crl) == (tmp_path / "users.pem", (tmp_path / "u",))
    assert (raw.mode, raw.pool, str(raw.bind)) == ("tcp", "raw", "0.0.0.0:8443")
    assert sni.sni == {"a.example": "raw", "b.example": "raw"}


def test_pools(config: Config, tmp_path: Path) -> None:
    pool, raw = config.pools["connectors"], config.pools["raw"]
    assert [(one.name, one.url, one.weight, one.standby) for one in pool.backends] == [
        ("c1", "https://10.0.0.11:4000", 1, False),
        ("c2", "https://10.0.0.12:4000", 100, True),
    ]
    assert (pool.connect_timeout, pool.response_timeout) == (5, 1.5)
    check = pool.check
    assert (check.kind, check.method, check.path, check.interval, check.fall) == ("http", "GET", "/health", 2, 3)
    assert {200, 399} <= check.expect
    assert (pool.tls.ca, pool.tls.server_name) == (tmp_path / "ca.pem", "login.test")
    assert (raw.backends[0].url, raw.send_proxy_protocol, raw.check.kind) == ("tcp://10.0.0.1:443", "v2", "tcp")


def test_what_is_not_carried_is_said_once_with_its_line() -> None:
    migration = read(WHOLE, "haproxy.cfg")
    said = [(note.line, note.directive.split()[0]) for note in migration.notes]
    assert len(said) == len(set(said))
    assert {line for line, _ in said} == {3, 12, 13, 14, 15, 19, 20, 24}
    text = migration.toml()
    assert "# NOT CARRIED: line 20: cookie SRV insert: no sticky sessions" in text
    assert "# CHANGE this" in text


def test_indentation_means_nothing() -> None:
    flat = "\n".join(line.strip() for line in WHOLE.splitlines())
    assert read(flat, "h").toml() == read(WHOLE, "h").toml()


def test_defaults_by_name() -> None:
    text = "defaults a\ntimeout connect 2s\ndefaults b from a\nmode tcp\ndefaults\ntimeout connect 9s\n"
    draft = read(f"{text}backend x from b\nserver s 10.0.0.1:1\nbackend y\nserver s 10.0.0.1:1\n", "h")
    assert [(pool.scheme, pool.keys) for pool in draft.pools.values()] == [
        ("tcp", {"connect_timeout": "2s"}),
        ("http", {"connect_timeout": "9s"}),
    ]


@pytest.mark.parametrize(("mode", "idle"), [("http", "10s"), ("tcp", "50s")])
def test_idle_connections(mode: str, idle: str) -> None:
    defaults = f"defaults\nmode {mode}\ntimeout http-keep-alive 10s\ntimeout client 50s\n"
    draft = read(f"{defaults}frontend f\nbind :80\ndefault_backend b\nbackend b\nserver s 10.0.0.1:80\n", "h")
    assert (draft.listeners[0].keys["idle_timeout"], draft.notes) == (idle, [])


def test_options_that_are_not_carried_are_said() -> None:
    text = """
    bogus
    listen a
        bind :80,:81 interface eth0 name first
        timeout tunnel 1h
        server s1 10.0.0.1:80 check resolvers dns slowstart 10s disabled
    """
    draft = read(text, "h")
    assert [str(one.keys["bind"]) for one in draft.listeners] == ["0.0.0.0:80", "0.0.0.0:81"]
    assert draft.pools["a"].backends[0].weight == 0
    told = {(note.line, note.directive) for note in draft.notes}
    assert told == {
        (2, "bogus"),
        (4, "bind ... interface eth0"),
        (5, "timeout tunnel 1h"),
        (6, "server s1 resolvers dns slowstart 10s"),
    }


@pytest.mark.parametrize("time", ["us", "xus", "\u00b2", "99999999999999999999"])
def test_a_time_that_is_none_is_left_to_check(time: str) -> None:
    assert read(f"backend a\n timeout connect {time}\n", "h").pools["a"].keys == {"connect_timeout": time}


@pytest.mark.parametrize(
    "text", ["", "garbage", "defaults\n  x 'unended\n", "frontend\n  bind\nbackend\n server\n server a b weight x\n"]
)
def test_nothing_is_refused(text: str) -> None:
    read(text, "haproxy.cfg").toml()
