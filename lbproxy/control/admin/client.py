"""The commands' end of the admin interface. Imports the standard library only, so that commands start fast."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import cast

from lbproxy.control.admin.sockets import Bind
from lbproxy.control.snapshot import Snapshot
from lbproxy.errors import AdminError

_TIMEOUT = 5.0  # seconds without a byte


def fetch_status(bind: Bind) -> Snapshot:
    """The snapshot of the balancer whose admin interface is at `bind`. Raises AdminError."""
    try:
        return cast(Snapshot, json.loads(_get(bind, "/status")))
    except ValueError:
        raise AdminError(f"what answers on {_text(bind)} is not lbproxy") from None


def _get(bind: Bind, path: str) -> bytes:
    connection = (
        _UnixConnection(bind) if isinstance(bind, Path) else http.client.HTTPConnection(*bind, timeout=_TIMEOUT)
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise AdminError(f"lbproxy is not running: nobody listens on {_text(bind)}") from None
    except PermissionError:
        raise AdminError(f"{bind} may be opened by the user only that runs lbproxy") from None
    except (OSError, http.client.HTTPException) as error:
        raise AdminError(f"lbproxy does not answer on {_text(bind)}: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise AdminError(f"{_text(bind)} refused: {body.decode('utf-8', 'replace').strip()}")
    return body


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the Host is localhost, as there is none."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def _text(bind: Bind) -> str:
    return str(bind) if isinstance(bind, Path) else f"{bind[0]} port {bind[1]}"
