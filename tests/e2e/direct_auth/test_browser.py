"""Chromium signs in with a Kerberos ticket, through TLS, and shows the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lbproxy.demo.realm import Realm

from ..balancer import Balancer
from ..client import HOST
from .conftest import Fleet, Front
from .person import Person

PATIENCE = 120.0
"""Seconds for a browser to start on a machine that is busy."""

STATE = {
    "net": {"received_http_auth_negotiate_headers": True},
    "auth": {"disable_negotiate_cname_lookup": True},
}
"""Of a browser that was used: on Linux one answers Negotiate only from the start after the first time that it saw it.

The name is not looked up: the resolver's rule below would make the service HTTP/127.0.0.1.
"""

QUIET = (
    "--headless",
    "--no-sandbox",  # the tests may run as root
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""Nothing but the page: no helper process that needs a display or a bus, no request to anybody else."""


def key_pin(chain: Path) -> str:
    """The certificate's public key as Chromium names it: SHA-256 of SubjectPublicKeyInfo, in base64 (RFC 7469 2.4)."""
    key = x509.load_pem_x509_certificate(chain.read_bytes()).public_key()
    return b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()


async def browse(balancer: Balancer, profile: Path, environment: dict[str, str]) -> str:
    """The document that a new browser shows for SERVER_URL, as HTML."""
    program = shutil.which("chromium")
    assert program, "apt-get install chromium"
    (profile / "Local State").write_text(json.dumps(STATE))
    process = await asyncio.create_subprocess_exec(
        program,
        *QUIET,
        f"--user-data-dir={profile}",
        f"--auth-server-allowlist={HOST}",
        f"--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--ignore-certificate-errors-spki-list={key_pin(balancer.path.with_name('chain.pem'))}",
        "--dump-dom",
        f"{balancer.config['server_url']}/",
        env=os.environ | environment | {"HOME": str(profile)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a browser is many processes
        await process.wait()
    print(err.decode())  # pytest shows it beside a failure only
    return out.decode()


@pytest.mark.parametrize("kind", ["apache on", "apache off"])
async def test_chromium_signs_in(
    fleet: Fleet, front: Front, people: list[Person], realm: Realm, tmp_path: Path, kind: str
) -> None:
    balancer = await front(await fleet(kind), tls=True)
    page = await browse(balancer, tmp_path, realm.kinit(people[0].name))
    assert f'You are <b id="user">{people[0].principal}</b>' in page
    [offer, signed_in] = await balancer.accessed(2, target="/")
    assert [offer["status"], signed_in["status"]] == [401, 200]
    assert "Chrome" in signed_in["user_agent"]


async def test_chromium_without_a_ticket_is_nobody(fleet: Fleet, front: Front, realm: Realm, tmp_path: Path) -> None:
    balancer = await front(await fleet("apache on"), tls=True)
    page = await browse(balancer, tmp_path, realm.env | {"KRB5CCNAME": f"FILE:{tmp_path}/none"})
    assert "You are" not in page
    assert {record["status"] for record in await balancer.accessed(target="/")} == {401}
