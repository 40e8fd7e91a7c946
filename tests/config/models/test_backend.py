from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from lbproxy.config import Backend


@pytest.mark.parametrize(
    ("url", "path", "page"),
    [
        (None, "/health?deep=1", "http://[2001:db8::1]:4000/health?deep=1"),
        ("https://{host}:8443/healthz", "/ignored", "https://[2001:db8::1]:8443/healthz"),
        ("https://monitor.example/c1", "/ignored", "https://monitor.example/c1"),
    ],
)
def test_its_pages(url: str | None, path: str, page: str) -> None:
    assert Backend(name="c1", url="http://[2001:db8::1]:4000").page(url, path) == page


@pytest.mark.parametrize("url", ["http://c1:4000", "https://c1", "tcp://10.0.0.11:4000", "tcp://[::1]:443"])
def test_its_url(url: str) -> None:
    assert Backend(name="c1", url=url).url == url


@pytest.mark.parametrize("url", ["udp://c1:4000", "c1:4000", "unix:/run/c1.sock"])
def test_an_impossible_url(url: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(sound.replace("http://10.0.0.11:4000", url)) == [
        f"pool.connectors.backends[0].url: {url!r} is not a URL that begins with http:// or https:// or tcp:// "
        "and names a host"
    ]


def test_a_tcp_url_has_a_port() -> None:
    with pytest.raises(ValidationError, match=r"'tcp://10\.0\.0\.11' needs a port; tcp:// has none of its own"):
        Backend(name="c1", url="tcp://10.0.0.11")
