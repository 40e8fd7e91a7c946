from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Config
from lbproxy.config.unsupported import TABLE, knows, refusals

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"

REFUSED = {
    "workers": "workers = 2",
    "workers = auto": 'workers = "auto"',
    "listener.login.mode": 'listener.login.mode = "tcp"',
    "listener.login.mode = sni": 'listener.login.mode = "sni"',
    "listener.login.sni": 'listener.login.sni = { "login.corp.example" = "connectors" }',
    "listener.login.accept_proxy_protocol_from": 'listener.login.accept_proxy_protocol_from = ["10.0.0.0/8"]',
    "listener.login.tls.client_certificate": 'listener.login.tls.client_certificate = "required"',
    "listener.login.tls.client_identity": 'listener.login.tls.client_identity = "xfcc"',
    "listener.login.tls.client_ca": 'listener.login.tls.client_ca = "ca.pem"',
    "listener.login.tls.client_crl": "listener.login.tls.client_crl = []",
    "listener.login.tls.mint": 'listener.login.tls.mint = { ca_key = "ca.key" }',
    "pool.connectors.backends[0].url": 'pool.connectors.backends = [{ name = "c1", url = "tcp://10.0.0.11:1" }]',
    "pool.connectors.send_proxy_protocol": 'pool.connectors.send_proxy_protocol = "v2"',
    "pool.connectors.slow_start": 'pool.connectors.slow_start = "10s"',
    "pool.connectors.retry_statuses": "pool.connectors.retry_statuses = [503]",
    "pool.connectors.check.kind": 'pool.connectors.check.kind = "tls"',
}
"""The key (and perhaps a value, to have two of one key) -> a line that asks for it."""


def document(line: str) -> str:
    parts = [
        'server_url = "https://login.corp.example"',
        'listener.login.bind = "127.0.0.1:8080"',
        'listener.login.pool = "connectors"',
        line,
    ]
    if "tls." in line:
        parts.append('listener.login.tls.certificate = "a.pem"\nlistener.login.tls.key = "a.key"')
    if "backends" not in line:
        parts.append('pool.connectors.backends = [{ name = "c1", url = "http://10.0.0.11:4000" }]')
    return "\n".join(parts)


@pytest.mark.parametrize("key", REFUSED)
def test_is_refused_by_name(key: str, problems_of: Callable[[str], list[str]]) -> None:
    assert problems_of(document(REFUSED[key])) == [f"{key.partition(' ')[0]}: not supported yet"]


def test_every_row_is_tried_above() -> None:
    tried = {key.partition(" ")[0].replace("[0]", ".0") for key in REFUSED}
    assert len({pattern for pattern, _ in TABLE}) == len(TABLE) == len(tried)
    assert all(knows(tuple(0 if part == "0" else part for part in key.split("."))) for key in tried)


@pytest.mark.parametrize(
    "line",
    [
        "workers = 1",
        'listener.login.mode = "http"',
        "listener.login.accept_proxy_protocol_from = []",
        'listener.login.tls.client_certificate = "none"',
        'listener.login.tls.client_identity = "none"',
        'pool.connectors.send_proxy_protocol = "none"',
        'pool.connectors.slow_start = "0s"',
        "pool.connectors.retry_statuses = []",
        'pool.connectors.check.kind = "tcp"',
        'pool.connectors.check.kind = "none"',
    ],
)
def test_neutral_values_are_accepted(line: str, load_text: Callable[[str], Config]) -> None:
    load_text(document(line))


def test_an_impossible_value_is_not_called_unsupported(problems_of: Callable[[str], list[str]]) -> None:
    assert problems_of(document('listener.login.mode = "quic"')) == [
        "listener.login.mode: must be 'http', 'tcp' or 'sni'"
    ]


def test_a_listener_by_server_name_is_not_asked_for_its_pool() -> None:
    assert [str(found) for found in refusals({"listener": {"raw": {"mode": "sni", "sni": {"a.example": "p"}}}})] == [
        "listener.raw.mode: not supported yet",
        "listener.raw.sni: not supported yet",
    ]


def test_the_docs_name_every_row() -> None:
    text = DOCS.read_text()
    assert not [pattern for pattern, _ in TABLE if f"`{pattern[-1]}`" not in text]
