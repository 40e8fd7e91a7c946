from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.runtime.check_path import defaulted, find
from lbproxy.runtime.trial import try_backends
from tests.control.probes.backends import listening

METADATA = "/wsfed/FederationMetadata/2007-06/FederationMetadata.xml"


def config(directory: Path, port: int, check: str = "", backend: str = "") -> Config:
    path = directory / "lb.toml"
    path.write_text(f"""
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "web"
[pool.web]
backends = [{{ name = "c1", url = "http://127.0.0.1:{port}"{backend} }}]
{check}
""")
    return load(path, {})


class Having:
    """Serves pages, and 404 for others."""

    def __init__(self, *pages: str) -> None:
        self.pages = pages

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status = "200 OK" if path in self.pages else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ((METADATA, "/healthz"), "they are Auth0 connectors; docs/connectors/auth0.md"),
        (("/health",), 'set it to "/health", which they have'),
        ((), "set it to a page that they have"),
    ],
)
async def test_what_fits_is_said(tmp_path: Path, pages: tuple[str, ...], words: str) -> None:
    async with listening(Having(*pages)) as port:
        one = config(tmp_path, port)
        [found] = await find(one, await try_backends(one))
    assert found.where == "pool.web.check.path"
    assert found.text.startswith(f'"/", the default, is 404 at c1; {words}')


async def test_nothing_is_said_of_a_page_that_is_there_or_that_was_chosen(tmp_path: Path) -> None:
    async with listening(Having("/")) as port:
        for check in ("", 'check.path = "/"', 'check.path = "/none"'):
            one = config(tmp_path, port, check)
            assert await find(one, await try_backends(one)) == []


@pytest.mark.parametrize(
    ("check", "backend", "keys"),
    [
        ("", "", ["pool.web.check.path"]),
        ("check.interval = '3s'", "", ["pool.web.check.path"]),
        ("check.path = '/'", "", []),
        ("check.kind = 'tcp'", "", []),
        ("check.url = 'http://{host}:8080/healthz'", "", []),
        ("", ", check_url = 'http://{host}:8080/healthz'", []),
    ],
)
def test_where_nothing_is_set(tmp_path: Path, check: str, backend: str, keys: list[str]) -> None:
    assert defaulted(config(tmp_path, 1, check, backend)) == keys
