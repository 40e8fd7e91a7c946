from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbproxy.config import Address, Config, Listener

PASSTHROUGH = """
server_url = "https://login.corp.example"
[listener.raw]
bind = "127.0.0.1:8443"
mode = "sni"
[listener.raw.sni]
"Login.Corp.Example" = "connectors"
"*.apono.example" = "apono"
"a.example" = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "tcp://10.0.0.11:4000" }]
check.kind = "tls"
[pool.apono]
backends = [{ name = "a1", url = "tcp://10.0.0.21:8000" }]
check.kind = "tcp"
"""

TLS = """
[listener.login.tls]
certificate = "login.pem"
key = "login.key"
client_certificate = "optional"
client_ca = "users.pem"
"""


def test_values_arrive_in_seconds_bytes_and_networks(listener: Callable[[str], Listener]) -> None:
    found = listener('idle_timeout = "1m"\nmax_header_size = "64KB"\nallow = ["10.0.0.0/8", "::1"]')
    assert (found.idle_timeout, found.max_header_size) == (60.0, 64_000)
    assert found.allow == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def test_by_default_nobody_is_trusted_and_everybody_allowed(listener: Callable[[str], Listener]) -> None:
    found = listener("")
    assert found.trust_forwarded_from == found.accept_proxy_protocol_from == ()
    assert found.allow == (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert found.bind == Address("127.0.0.1", 8080)
    assert found.max_connections_per_address is None
    assert found.pools == ("connectors",)


def test_stripped_headers_are_in_lower_case(listener: Callable[[str], Listener]) -> None:
    assert listener('strip_headers = ["X-Remote-User"]').strip_headers == ("x-remote-user",)


def test_pools_by_server_name(load_text: Callable[[str], Config]) -> None:
    found = load_text(PASSTHROUGH).listeners["raw"]
    assert found.sni == {"login.corp.example": "connectors", "*.apono.example": "apono", "a.example": "connectors"}
    assert (found.pool, found.pools) == ("", ("connectors", "apono"))


def test_client_certificates(load_text: Callable[[str], Config], sound: str, tmp_path: Path) -> None:
    more = 'client_crl = ["a.crl", "/b.crl"]\nadditional = [{ certificate = "sso.pem", key = "sso.key" }]'
    tls = load_text(f"{sound}{TLS}{more}").listeners["login"].tls
    assert tls is not None
    assert (tls.client_certificate, tls.client_identity, tls.mint) == ("optional", "none", None)
    assert (tls.client_ca, tls.client_crl) == (tmp_path / "users.pem", (tmp_path / "a.crl", Path("/b.crl")))
    assert [(pair.certificate, pair.key) for pair in tls.additional] == [(tmp_path / "sso.pem", tmp_path / "sso.key")]


def test_a_mint(load_text: Callable[[str], Config], sound: str, tmp_path: Path) -> None:
    text = sound.replace("http:", "https:") + 'tls.ca = "connectors.pem"' + TLS + 'client_identity = "mint"\n'
    tls = load_text(text + 'mint = { ca_certificate = "mint.pem", ca_key = "mint.key" }').listeners["login"].tls
    assert tls is not None
    assert tls.mint is not None
    assert (tls.mint.ca_certificate, tls.mint.ca_key) == (tmp_path / "mint.pem", tmp_path / "mint.key")
    assert tls.mint.lifetime == 600.0
    assert (tls.minting, tls.identity) == (tls.mint, "mint")


@pytest.mark.parametrize(
    ("asked", "identity", "used"),
    [("optional", "rfc9440", "rfc9440"), ("none", "mint", "none"), ("none", "xfcc", "none")],
)
def test_a_mint_that_is_not_used(
    asked: str, identity: str, used: str, load_text: Callable[[str], Config], sound: str
) -> None:
    tls = f'{TLS}client_identity = "{identity}"\nmint = {{ ca_certificate = "mint.pem", ca_key = "mint.key" }}'
    found = load_text(sound + tls.replace('"optional"', f'"{asked}"')).listeners["login"].tls
    assert found is not None
    assert found.mint is not None
    assert (found.minting, found.identity, found.asks_clients) == (None, used, asked != "none")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('deny_paths = ["x"]', "deny_paths[0]: 'x' is not a path that begins with /"),
        ('deny_paths = ["/x?y"]', "deny_paths[0]: '/x?y' must be a path without a query"),
        ('strip_headers = ["a b"]', "strip_headers[0]: 'a b' is not an HTTP token (RFC 9110 section 5.6.2)"),
        (
            'strip_headers = ["Host"]',
            "strip_headers[0]: 'Host' cannot be stripped: the request would change its meaning",
        ),
        (
            'hosts = ["login.corp.example:443"]',
            "hosts[0]: 'login.corp.example:443' is not a host: a name, an IPv4 address or a [v6] one, without a port",
        ),
        ('max_target_size = "255B"', "max_target_size: must be between 256B and 1MiB"),
        ("max_connections_per_address = 0", "max_connections_per_address: must be at least 1"),
        (
            'accept_proxy_protocol_from = ["all"]',
            "accept_proxy_protocol_from[0]: 'all' is not an address or a network such as 10.0.0.0/8",
        ),
        ('tls = { certificate = "", key = 1 }', "tls.certificate: must be the path of a file"),
        ('tls = { certificate = "", key = 1 }', "tls.key: must be the path of a file"),
        (
            'tls = { certificate = "a", key = "b", minimum_version = "1.1" }',
            "tls.minimum_version: must be '1.2' or '1.3'",
        ),
        (
            'tls = { certificate = "a", key = "b", client_certificate = "always" }',
            "tls.client_certificate: must be 'none', 'optional' or 'required'",
        ),
        ('tls.additional = [{ certificate = "a" }]', "tls.additional[0].key: missing"),
        ('tls.mint = { ca_certificate = "a", lifetime = "25h" }', "tls.mint.ca_key: missing"),
        ('tls.mint = { ca_certificate = "a", lifetime = "25h" }', "tls.mint.lifetime: must be between 1m and 24h"),
    ],
)
def test_impossible_listeners(line: str, problem: str, problems_of_listener: Callable[[str], list[str]]) -> None:
    assert f"listener.login.{problem}" in problems_of_listener(line)


def test_an_address_is_no_server_name(problems_of: Callable[[str], list[str]]) -> None:
    assert problems_of(PASSTHROUGH.replace('"a.example"', '"10.0.0.1"')) == [
        "listener.raw.sni.\"10.0.0.1\": '10.0.0.1' is not a server name such as login.corp.example or *.corp.example"
    ]
