from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.client_certificates import problems, warnings
from tests.config.checks.documents import LISTENER, document

PAIR = {"certificate": "login.pem", "key": "login.key"}
ASKED = PAIR | {"client_certificate": "optional", "client_ca": "users.pem"}
MINTING = ASKED | {"client_identity": "mint", "mint": {"ca_certificate": "mint.pem", "ca_key": "mint.key"}}
HTTPS = {"backends": [{"name": "c1", "url": "https://c1"}], "tls": {"ca": "connectors.pem"}}


def found(tls: Any, pool: Any = HTTPS) -> list[str]:
    return [str(problem) for problem in problems(document(listener={"a": LISTENER | {"tls": tls}}, pool={"p": pool}))]


def warned(tls: Any) -> list[str]:
    return [str(warning) for warning in warnings(document(listener={"a": LISTENER | {"tls": tls}}))]


@pytest.mark.parametrize(
    "tls",
    [
        PAIR,
        PAIR | {"client_certificate": "none", "client_identity": "none", "client_crl": []},
        ASKED,
        ASKED | {"client_certificate": "required", "client_crl": ["a.crl"], "client_identity": "xfcc"},
        MINTING,
    ],
)
def test_sound_tables(tls: Any) -> None:
    assert found(tls) == warned(tls) == []


@pytest.mark.parametrize("asked", ["optional", "required"])
def test_certificates_are_judged_by_somebody(asked: str) -> None:
    assert found(PAIR | {"client_certificate": asked}) == [
        "listener.a.tls.client_ca: missing; it says whose certificates are believed"
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("client_ca", "users.pem"), ("client_crl", ["a.crl"]), ("client_identity", "rfc9440")]
)
def test_nothing_is_done_with_certificates_that_nobody_is_asked_for(key: str, value: object) -> None:
    assert found(PAIR | {key: value}) == [f"listener.a.tls.{key}: has no meaning without client_certificate"]


def test_whoever_switches_it_off_in_so_many_words_has_not_forgotten_it() -> None:
    tls = MINTING | {"client_certificate": "none", "client_crl": ["a.crl"]}
    assert found(tls, {}) == []
    assert warned(tls) == [
        f'listener.a.tls.{key}: has no meaning with client_certificate = "none"'
        for key in ("client_ca", "client_crl", "client_identity", "mint")
    ]


def test_minting_needs_its_table() -> None:
    assert found(ASKED | {"client_identity": "mint"}) == [
        'listener.a.tls.mint: missing; client_identity = "mint" needs ca_certificate and ca_key in it'
    ]


def test_a_mint_is_not_used_otherwise() -> None:
    tls = ASKED | {"client_identity": "xfcc", "mint": {}}
    assert found(tls) == []
    assert warned(tls) == ['listener.a.tls.mint: has no meaning without client_identity = "mint"']


BECAUSE = "listener.a mints certificates for these backends"


def test_users_are_minted_into_https_backends_that_were_verified() -> None:
    mixed = {"backends": [{"name": "c1", "url": "https://c1"}, {"name": "c2", "url": "http://c2"}]}
    assert found(MINTING, mixed) == [
        f"pool.p.backends[1].url: {BECAUSE}: it must be https://",
        f"pool.p.tls.ca: missing; {BECAUSE} and has to know whom it hands users to",
    ]
    assert found(MINTING, HTTPS | {"tls": {"ca": "a.pem", "verify": False}}) == [
        f"pool.p.tls.verify: {BECAUSE} and has to know whom it hands users to"
    ]


def test_nobody_is_signed_in_as_the_balancer() -> None:
    own = HTTPS | {"tls": {"ca": "a.pem", "certificate": "lbproxy.pem", "key": "lbproxy.key"}}
    assert found(MINTING, own) == [
        f"pool.p.tls.certificate: {BECAUSE}: with this one, a user without a certificate would be signed in as lbproxy"
    ]
    assert found(ASKED | {"client_identity": "rfc9440"}, own) == []


def test_a_pool_that_is_not_there_is_another_subject() -> None:
    listener = {"bind": "127.0.0.1:1", "pool": "q", "tls": MINTING}
    assert list(problems(document(listener={"a": listener}))) == []


def test_two_mints_for_one_pool() -> None:
    """Probes show a certificate of one of them."""
    other = MINTING | {"mint": {"ca_certificate": "other.pem", "ca_key": "other.key"}}
    for second, expected in (
        (MINTING, []),
        (
            other,
            [
                "listener.b.tls.mint.ca_certificate: another authority than that of listener.a, whose certificate "
                "the pool's probes show"
            ],
        ),
    ):
        listeners = {"a": LISTENER | {"tls": MINTING}, "b": LISTENER | {"tls": second}}
        assert [str(warning) for warning in warnings(document(listener=listeners))] == expected
