"""Chromium without a display: how it is started, for whoever drives it."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PATIENCE = 120.0
"""Seconds for a browser to start on a machine that is busy."""

_STATE = {
    "net": {"received_http_auth_negotiate_headers": True},
    "auth": {"disable_negotiate_cname_lookup": True},
}
"""Of a browser that was used: on Linux one answers Negotiate only from the start after the first time that it saw it.

The name is not looked up: the resolver's rule below would make the service HTTP/127.0.0.1.
"""

_QUIET = (
    "--no-sandbox",  # the tests may run as root
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--renderer-process-limit=1",
)
"""Nothing but the page: no helper process that needs a display or a bus, no request to anybody else."""


def program() -> str:
    """Its path."""
    found = shutil.which("chromium")
    assert found, "apt-get install chromium"
    return found


def tickets_for(host: str) -> str:
    """The option that lets a page of `host` ask for a ticket."""
    return f"--auth-server-allowlist={host}"


def options(host: str, chain: Path, profile: Path) -> list[str]:
    """Those of a new browser that finds `host` on this machine and trusts `chain`, and finds no other host.

    profile: an empty folder, which is made one that was used.
    """
    (profile / "Local State").write_text(json.dumps(_STATE))
    return [
        *_QUIET,
        f"--host-resolver-rules=MAP {host} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--ignore-certificate-errors-spki-list={_key_pin(chain)}",
    ]


def _key_pin(chain: Path) -> str:
    """The certificate's public key as Chromium names it: SHA-256 of SubjectPublicKeyInfo, in base64 (RFC 7469 2.4)."""
    key = x509.load_pem_x509_certificate(chain.read_bytes()).public_key()
    return b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
