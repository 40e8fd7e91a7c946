"""From [fleet] to its etcd."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

from lbproxy import config as settings
from lbproxy.errors import StartError

if TYPE_CHECKING:
    from lbproxy.control.etcd import Access, Etcd


def connect(fleet: settings.Fleet) -> Etcd:
    """The one client of a process, which all that need etcd share; to be closed at the end. Nothing is asked yet.

    Call it on the running loop. Raises StartError.
    """
    from lbproxy.control.etcd import Etcd  # only where there is a fleet

    return Etcd(access(fleet))


def access(fleet: settings.Fleet) -> Access:
    """Files of TLS are read now, and again when they change. Raises StartError."""
    from lbproxy.control.etcd import Access

    secure = fleet.etcd[0].startswith("https:")
    password = "" if fleet.password is None else fleet.password.get_secret_value()
    return Access(fleet.etcd, _tls(fleet) if secure else None, fleet.user or "", password)


def _tls(fleet: settings.Fleet) -> ssl.SSLContext:
    from lbproxy.runtime.backend_tls import Renewed, context

    tls = settings.PoolTls.model_construct(ca=fleet.ca, certificate=fleet.certificate, key=fleet.key)
    files = [path for path in (fleet.ca, fleet.certificate, fleet.key) if path is not None]
    try:
        return Renewed.of(files, partial(context, tls, True), None)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(f"fleet: its files cannot be used: {error}") from error
