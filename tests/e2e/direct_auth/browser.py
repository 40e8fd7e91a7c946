"""Chromium without a display, which shows one page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..balancer import Balancer
from ..client import HOST

PATIENCE = 120.0
"""Seconds for a browser to start on a machine that is busy."""

ALLOWED = f"--auth-server-allowlist={HOST}"

_STATE = {
    "net": {"received_http_auth_negotiate_headers": True},
    "auth": {"disable_negotiate_cname_lookup": True},
}
"""Of a browser that was used: on Linux one answers Negotiate only from the start after the first time that it saw it.

The name is not looked up: the resolver's rule below would make the service HTTP/127.0.0.1.
"""

_QUIET = (
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


async def browse(
    balancer: Balancer,
    profile: Path,
    environment: dict[str, str],
    options: Sequence[str] = (ALLOWED,),
    under: Sequence[str] = (),
) -> str:
    """The document that a new browser shows for SERVER_URL, as HTML. under: the command that runs it, if one does."""
    program = shutil.which("chromium")
    assert program, "apt-get install chromium"
    (profile / "Local State").write_text(json.dumps(_STATE))
    process = await asyncio.create_subprocess_exec(
        *under,
        program,
        *_QUIET,
        *options,
        f"--user-data-dir={profile}",
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
