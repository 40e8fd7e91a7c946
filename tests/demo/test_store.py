from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lbproxy.demo.store import CLIENT, etcd, find_etcd


def version(url: str, context: ssl.SSLContext) -> str:
    with urllib.request.urlopen(f"{url}/version", context=context, timeout=10) as answer:
        return str(answer.read(), "ascii")


async def test_only_who_has_the_certificate_may_ask(tmp_path: Path) -> None:
    program = find_etcd()
    assert program is not None
    url, store = etcd(program, tmp_path / "store")
    await store.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "store" / "ca.pem"))
        with pytest.raises((ssl.SSLError, OSError)):
            version(url, context)
        files = tmp_path / "store" / CLIENT
        context.load_cert_chain(f"{files}.pem", f"{files}.key")
        assert "etcdserver" in version(url, context)
    finally:
        await store.stop()
