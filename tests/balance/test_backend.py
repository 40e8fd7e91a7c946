from __future__ import annotations

from itertools import product

import pytest

from lbproxy.balance.backend import Backend, State


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "origin"),
    [
        ("http://10.0.0.11:4000", "http", "10.0.0.11", 4000, b"http://10.0.0.11:4000"),
        ("https://C2.corp.example", "https", "c2.corp.example", 443, b"https://C2.corp.example"),
        ("http://c1:80/", "http", "c1", 80, b"http://c1:80"),
        ("http://c1", "http", "c1", 80, b"http://c1"),
        ("tcp://[::1]:8443", "tcp", "::1", 8443, b"tcp://[::1]:8443"),
    ],
)
def test_the_url_gives_the_address_and_the_origin_as_written(
    url: str, scheme: str, host: str, port: int, origin: bytes
) -> None:
    backend = Backend("c1", url)
    assert (backend.scheme, backend.host, backend.port, backend.origin) == (scheme, host, port, origin)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "10.0.0.11:4000",
        "ftp://c1:21",
        "tcp://c1",
        "http://:80",
        "http://c1:0",
        "http://c1:65536",
        "http://c1:x",
        "http://user@c1:80",
        "http://c1:80/path",
        "http://c1:80?q=1",
        "http://c1:80#f",
        "http://[::1:80",
        "http://c\xe91:80",
    ],
)
def test_a_url_that_names_no_one_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Backend("c1", url)


def test_a_backend_is_fit_when_it_is_up_and_nothing_keeps_it_out() -> None:
    backend = Backend("c1", "http://c1:80")
    seen = []
    for backend.state, backend.draining, backend.inconsistent in product(State, (False, True), ("", "version is 1")):
        if backend.fit:
            seen.append((backend.state, backend.draining, backend.inconsistent))
    assert seen == [(State.UP, False, "")]


def test_its_repr_is_fit_for_a_log_line() -> None:
    backend = Backend("c1", "http://c1:80")
    assert repr(backend) == "<backend c1 http://c1:80 new>"
    backend.state, backend.draining = State.DOWN, True
    assert repr(backend) == "<backend c1 http://c1:80 down draining>"
    backend.draining, backend.inconsistent = False, "version is 1"
    assert repr(backend) == "<backend c1 http://c1:80 down inconsistent>"


def test_a_misspelt_counter_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Backend("c1", "http://c1:80").request = 1  # type: ignore[attr-defined]
