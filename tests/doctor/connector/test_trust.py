from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lbproxy.doctor.connector import trust
from tests.doctor.connector.conftest import Looking
from tests.instance.connector import Connector
from tests.pki import Authority


@pytest.mark.parametrize("below", [True, False])
async def test_believes_the_files_of_ssl_ca_path(
    look: Looking, connector: Connector, tmp_path: Path, below: bool
) -> None:
    directory = connector.directory / "ca" if below else tmp_path / "ca"
    directory.mkdir()
    Authority.root("added").write_certificate(directory / "added.pem")
    settings = await look(SSL_CA_PATH="./ca/" if below else str(directory)).settings()
    made = trust.context(settings)
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert "added" in str(made.get_ca_certs())
    assert trust.added_authorities(settings) in trust.bundle(settings)


async def test_believes_no_other_file(look: Looking) -> None:
    assert trust.added_authorities(await look().settings()) == ""


async def test_goes_through_the_proxy_that_is_set(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert trust.proxy(await look().settings()) is None
    assert trust.proxy(await look(HTTP_PROXY="http://proxy:3128").settings()) == "http://proxy:3128"
