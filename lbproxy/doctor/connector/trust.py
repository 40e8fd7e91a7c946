"""Which authorities the connector believes, and how it gets out: as its own requests do."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

from lbproxy.doctor.connector.sight import Settings
from lbproxy.instance.model import Area

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*")


def added_authorities(settings: Settings) -> str:
    """PEM: those of SSL_CA_PATH."""
    return "".join(_added(settings))


def _added(settings: Settings) -> Iterator[str]:
    below = settings.text("SSL_CA_PATH").removeprefix("./").rstrip("/")
    for file in settings.files:
        if file.area is Area.CA or (below and file.area is Area.INSTANCE and file.path.startswith(f"{below}/")):
            yield from _PEM.findall(file.content.decode("latin-1"))


def context(settings: Settings) -> ssl.SSLContext:
    """The system's authorities, and those of SSL_CA_PATH."""
    made = ssl.create_default_context()
    if added := added_authorities(settings):
        made.load_verify_locations(cadata=added)
    return made


def bundle(settings: Settings) -> str:
    """The same as PEM."""
    system = ssl.get_default_verify_paths().cafile
    own = Path(system).read_text() if system and Path(system).exists() else ""
    return own + added_authorities(settings)


def proxy(settings: Settings) -> str | None:
    """What its requests to the tenant go through."""
    own = settings.text("HTTP_PROXY") or settings.text("http_proxy")
    return own or os.environ.get("HTTPS_PROXY") or os.environ.get("HTTP_PROXY") or None
