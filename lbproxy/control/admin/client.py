"""The commands' end of the admin interface. Imports the standard library only, so that commands start fast.

Every function raises AdminError when the balancer cannot be reached, or refuses.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from lbproxy.control.admin.sockets import Bind
from lbproxy.control.snapshot import InstanceView, Snapshot
from lbproxy.errors import AdminError

_TIMEOUT = 5.0  # seconds without a byte
_RELOAD_TIMEOUT = 150.0  # and for a reload, whose probes may all time out


def fetch_status(bind: Bind) -> Snapshot:
    """The snapshot of the balancer whose admin interface is at `bind`."""
    return cast(Snapshot, _ask(bind, "GET", "/status"))


def fetch_instance(bind: Bind, name: str) -> InstanceView:
    """The instance NAME, or the backend POOL/NAME, as it is now."""
    return cast(InstanceView, _ask(bind, "GET", _path(name)))


def drain(bind: Bind, name: str, force: bool = False) -> InstanceView:
    """No new work for the instance; `force`: even if a pool has no other one in rotation. Returns how it is then."""
    return cast(InstanceView, _ask(bind, "POST", f"{_path(name)}/drain{'?force=true' if force else ''}"))


def make_ready(bind: Bind, name: str) -> InstanceView:
    """End a drain. Returns how the instance is then."""
    return cast(InstanceView, _ask(bind, "POST", f"{_path(name)}/ready"))


def reload(bind: Bind) -> None:
    """Have the configuration read again; returns once it is served."""
    _ask(bind, "POST", "/reload", _RELOAD_TIMEOUT)


def _path(name: str) -> str:
    return f"/backends/{quote(name)}"


def _ask(bind: Bind, method: str, path: str, timeout: float = _TIMEOUT) -> Any:
    """The JSON of the answer."""
    try:
        return json.loads(_exchange(bind, method, path, timeout))
    except ValueError:
        raise AdminError(f"what answers on {_text(bind)} is not lbproxy") from None


def _exchange(bind: Bind, method: str, path: str, timeout: float) -> bytes:
    connection = (
        _UnixConnection(bind, timeout) if isinstance(bind, Path) else http.client.HTTPConnection(*bind, timeout=timeout)
    )
    try:
        connection.request(method, path)
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
    if response.status == http.client.CONFLICT:
        raise AdminError(body.decode("utf-8", "replace").strip())
    if response.status != http.client.OK:
        raise AdminError(f"{_text(bind)} refused: {body.decode('utf-8', 'replace').strip()}")
    return body


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the Host is localhost, as there is none."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _text(bind: Bind) -> str:
    return str(bind) if isinstance(bind, Path) else f"{bind[0]} port {bind[1]}"
