"""Backends that demand a certificate, behind a listener that does not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lbproxy.runtime import certificate_demand
from tests.control.probes.backends import hanging, listening, unused_port
from tests.pki import Authority
from tests.runtime.minting import HOST, ROOT, believing, configuration


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends here are quick to say what they demand."""
    monkeypatch.setattr(certificate_demand, "PATIENCE", 0.3)


def open_to_all(directory: Path) -> ssl.SSLContext:
    files = ROOT.server(HOST).write(directory, "open")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
async def test_who_has_no_certificate_is_promised_what_backends_refuse(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with (
        listening(hanging, believing(tmp_path, version=version)) as strict,
        listening(hanging, open_to_all(tmp_path)) as kind,
    ):
        [found] = await certificate_demand.find(configuration(tmp_path, strict, kind, asked="optional"))
        assert str(found) == (
            "listener.login.tls.client_certificate: optional, but c1 let in certificates only; set it to required"
        )
        assert await certificate_demand.find(configuration(tmp_path, strict, kind, asked="required")) == []


async def test_a_backend_that_lets_nobody_in_is_another_matter(tmp_path: Path) -> None:
    async with listening(hanging, believing(tmp_path, Authority.root("another"))) as port:
        assert await certificate_demand.find(configuration(tmp_path, port, unused_port(), asked="optional")) == []
