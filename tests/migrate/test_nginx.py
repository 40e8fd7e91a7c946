from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import MigrationError
from lbproxy.migrate.nginx import read

WHOLE = """
user www-data;
http {
  upstream connectors { ip_hash; server 10.0.0.11:4000 weight=2; server 10.0.0.12 backup max_fails=5; keepalive 16; }
  server {
    listen 8443 ssl http2;
    listen [::]:443 ssl;
    server_name login.corp.example;
    ssl_certificate /etc/nginx/login.pem; ssl_certificate_key "/etc/nginx/login.key";
    ssl_client_certificate ca.pem; ssl_verify_client on; ssl_crl u.crl; ssl_protocols TLSv1.3;
    keepalive_timeout 65;
    location / {
      proxy_pass https://connectors/; proxy_read_timeout 1m; proxy_ssl_verify on; proxy_ssl_name login.test;
      proxy_set_header Host $host;
    }
    location /x { proxy_pass http://10.0.0.9; }
  }
  server { listen 80; return 301 https://$host$request_uri; }
  server { listen 127.0.0.1:81; location / { proxy_pass http://10.0.0.8; } }
}
stream {
  map $ssl_preread_server_name $up { a.example raw; default raw; }
  upstream raw { server 10.0.0.1:443; }
  server { listen 9443; ssl_preread on; proxy_pass $up; }
  server { listen 9444; proxy_pass raw; proxy_protocol on; proxy_timeout 5m; }
}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(tmp_path / "lbproxy.toml", {}, read(WHOLE, "nginx.conf").toml())


def test_listeners(config: Config, tmp_path: Path) -> None:
    assert config.server_url == "https://login.corp.example:8443"
    login, second, plain, sni, raw = config.listeners.values()
    assert (str(login.bind), str(second.bind), str(plain.bind)) == ("0.0.0.0:8443", "[::]:443", "127.0.0.1:81")
    assert (login.hosts, login.pool, login.idle_timeout) == (("login.corp.example",), "connectors", 65)
    assert login.tls is not None
    assert login.tls == second.tls
    assert (login.tls.certificate, login.tls.key) == (Path("/etc/nginx/login.pem"), Path("/etc/nginx/login.key"))
    assert (login.tls.client_certificate, login.tls.minimum_version) == ("required", "1.3")
    assert (login.tls.client_ca, login.tls.client_crl) == (tmp_path / "ca.pem", (tmp_path / "u.crl",))
    assert (sni.mode, sni.sni) == ("sni", {"a.example": "raw"})
    assert (raw.mode, raw.pool, raw.idle_timeout) == ("tcp", "raw", 300)


def test_pools(config: Config) -> None:
    pool = config.pools["connectors"]
    assert [(one.url, one.weight, one.standby) for one in pool.backends] == [
        ("https://10.0.0.11:4000", 2, False),
        ("https://10.0.0.12:80", 1, True),
    ]
    assert (pool.response_timeout, pool.consecutive_errors, pool.tls.server_name) == (60, 5, "login.test")
    assert config.pools["10.0.0.8"].backends[0].url == "http://10.0.0.8:80"
    assert config.pools["raw"].send_proxy_protocol == "v1"


def test_what_is_not_carried_is_said_with_its_line() -> None:
    text = read(WHOLE, "nginx.conf").toml()
    assert "# NOT CARRIED: line 4: ip_hash: no sticky sessions" in text
    assert "# NOT CARRIED: line 16: location /x: no routing by path" in text
    assert "# NOT CARRIED: line 18: server: it forwards nothing" in text
    assert "# NOT CARRIED: line 6: listen 8443 ssl http2: HTTP/1.1 only" in text


def test_a_file_of_servers_alone_is_read_too() -> None:
    migration = read(
        "upstream u { server unix:/x; }\nserver { listen [::1]; location / { proxy_pass http://u; } }", "x"
    )
    assert migration.listeners[0].keys["bind"] == "[::1]:80"


def test_one_address_with_tls_and_one_without(tmp_path: Path) -> None:
    text = """server { server_name a.test; listen 80; listen 443 ssl; ssl_certificate c; ssl_certificate_key k;
              location / { proxy_pass http://10.0.0.1; } }"""
    config = load(tmp_path / "x.toml", {}, read(text, "n").toml())
    assert config.server_url == "https://a.test"
    assert [(str(one.bind), one.tls is not None) for one in config.listeners.values()] == [
        ("0.0.0.0:80", False),
        ("0.0.0.0:443", True),
    ]


def test_what_the_block_http_says_is_for_its_servers(tmp_path: Path) -> None:
    text = """
    http {
      ssl_certificate c; ssl_certificate_key k; keepalive_timeout 7; proxy_read_timeout 9s; gzip on; charset x;
      server {
        server_name a.test; listen 443 ssl; keepalive_timeout 8;
        location / { proxy_pass http://10.0.0.1; }
      }
      server { server_name b.test; location / { proxy_pass http://10.0.0.2; } }
    }
    """
    draft = read(text, "n")
    config = load(tmp_path / "x.toml", {}, draft.toml())
    first, second = config.listeners.values()
    assert first.tls is not None
    assert (first.tls.certificate, first.idle_timeout, str(second.bind), second.tls, second.idle_timeout) == (
        tmp_path / "c",
        8,
        "0.0.0.0:80",
        None,
        7,
    )
    assert {pool.response_timeout for pool in config.pools.values()} == {9}
    assert [note.directive for note in draft.notes] == ["charset x"]


def test_servers_of_one_name_are_listeners_of_their_own(tmp_path: Path) -> None:
    server = "server {{ server_name a.test; listen {}; location / {{ proxy_pass http://10.0.0.1; }} }}"
    draft = read(server.format(80) + server.format(8080), "n").toml()
    assert [str(one.bind) for one in load(tmp_path / "x.toml", {}, draft).listeners.values()] == [
        "0.0.0.0:80",
        "0.0.0.0:8080",
    ]


def test_options_that_are_not_carried_are_said() -> None:
    text = "upstream u { server a:1 slow_start=3s; }\nserver { listen 80 default_server backlog=9; proxy_pass u; }"
    assert [(note.line, note.why) for note in read(text, "n").notes] == [
        (1, "slow_start=3s has no key"),
        (2, "backlog=9 has no key"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("upstream { server a; }", "n:1: upstream has no argument"),
        ("upstream u {\n server; }", "n:2: server has no argument"),
        ("server {\n listen; location / { proxy_pass http://a; } }", "n:2: listen has no argument"),
        ("server { listen 80;\n location / { proxy_pass http://a:99999; } }", "n:2: proxy_pass http://a:99999: "),
        ("server { listen 80;\n location / { proxy_pass http://[::1; } }", "n:2: proxy_pass http://[::1: "),
        ("stream { map $ssl_preread_server_name $u {\n a.example; } server { listen 1; proxy_pass $u; } }", "n:2: "),
    ],
)
def test_what_nginx_refuses_too(text: str, problem: str) -> None:
    with pytest.raises(MigrationError) as caught:
        read(text, "n")
    assert str(caught.value).startswith(problem)
