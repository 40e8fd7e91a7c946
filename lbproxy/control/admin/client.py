"""The commands' end of the admin interface. Imports the standard library only, so that commands start fast.

Every function raises AdminError when the balancer cannot be reached, or refuses.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from lbproxy.balance import full_name
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.live_connections import ConnectionsView, ConnectionView
from lbproxy.control.snapshot import InstanceView, LeaveView, LogView, Snapshot
from lbproxy.errors import AdminError

_TIMEOUT = 5.0  # seconds without a byte
_FORCE = "?force=true"
_RELOAD_TIMEOUT = 150.0  # and for a reload, whose probes may all time out


def fetch_status(bind: Bind) -> Snapshot:
    """The snapshot of the balancer whose admin interface is at `bind`."""
    return cast(Snapshot, _ask(bind, "GET", "/status"))


def fetch_instance(bind: Bind, name: str) -> InstanceView:
    """The instance NAME, or the backend POOL/NAME, as it is now."""
    return cast(InstanceView, _ask(bind, "GET", _path(name)))


def drain(bind: Bind, name: str, force: bool = False) -> InstanceView:
    """No new work for the instance; `force`: even if a pool has no other one in rotation. Returns how it is then."""
    return cast(InstanceView, _ask(bind, "POST", f"{_path(name)}/drain{_FORCE if force else ''}"))


def make_ready(bind: Bind, name: str) -> InstanceView | None:
    """End a drain. Returns how the instance is then; None if only orders are left of that name."""
    return cast(InstanceView | None, _ask(bind, "POST", f"{_path(name)}/ready"))


def add_backend(bind: Bind, name: str, url: str, weight: int, standby: bool) -> InstanceView:
    """Make POOL/NAME a backend of the pool. Returns how it is then."""
    body = {"url": url, "weight": weight, "standby": standby}
    return cast(InstanceView, _ask(bind, "PUT", _path(name), body=body))


def change_backend(
    bind: Bind, name: str, given: Mapping[str, int | bool | None], force: bool = False
) -> InstanceView | None:
    """Order the `weight` or `standby` of POOL/NAME; None is as its source says.

    Returns how it is then; None if only orders are left of that name.
    """
    return cast(InstanceView | None, _ask(bind, "PATCH", f"{_path(name)}{_FORCE if force else ''}", body=given))


def remove_backend(bind: Bind, name: str, force: bool = False) -> InstanceView | None:
    """Take out what was added. Returns how it was last; None if only orders were left of that name."""
    return cast(InstanceView | None, _ask(bind, "DELETE", f"{_path(name)}{_FORCE if force else ''}"))


class RolloutLock:
    """`control.rollout.lock.Lock` of the pool `pool`, through the balancer at `bind`."""

    def __init__(self, bind: Bind, pool: str) -> None:
        self._bind = bind
        self._path = f"/rollouts/{quote(pool, safe='')}"

    def begin(self, progress: Mapping[str, Any]) -> str:
        """Take it; returns the ticket."""
        return str(_ask(self._bind, "POST", self._path, body=progress)["ticket"])

    def renew(self, ticket: str, progress: Mapping[str, Any]) -> str:
        """Keep it; returns the ticket from now on."""
        return str(_ask(self._bind, "PUT", f"{self._path}/{ticket}", body=progress)["ticket"])

    def end(self, ticket: str, done: bool) -> None:
        """Give it back."""
        _ask(self._bind, "DELETE", f"{self._path}/{ticket}{'?done=true' if done else ''}")


def reload(bind: Bind) -> None:
    """Have the configuration read again; returns once it is served."""
    _ask(bind, "POST", "/reload", _RELOAD_TIMEOUT)


def fetch_connections(bind: Bind, asked: Mapping[str, str]) -> ConnectionsView:
    """The client connections that `asked` wants: the parameters of the request, those that are empty left out."""
    query = urlencode({name: value for name, value in asked.items() if value})
    return cast(ConnectionsView, _ask(bind, "GET", f"/connections?{query}"))


def kick(bind: Bind, identity: str) -> ConnectionView:
    """End a client connection: how it was."""
    return cast(ConnectionView, _ask(bind, "DELETE", f"/connections/{quote(identity, safe='')}"))


def fetch_leave(bind: Bind) -> LeaveView:
    """How far the host is in leaving its virtual addresses."""
    return cast(LeaveView, _ask(bind, "GET", "/leave"))


def leave(bind: Bind, within: float | None = None) -> LeaveView:
    """Have the host leave its virtual addresses; within: seconds instead of leave_timeout."""
    return cast(LeaveView, _ask(bind, "POST", "/leave" if within is None else f"/leave?timeout={within:g}"))


def cancel_leave(bind: Bind) -> LeaveView:
    """Take that back."""
    return cast(LeaveView, _ask(bind, "DELETE", "/leave"))


def fetch_log_level(bind: Bind) -> LogView:
    """How much the operational log says."""
    return cast(LogView, _ask(bind, "GET", "/log-level"))


def set_log_level(bind: Bind, level: str, within: float | None) -> LogView:
    """Change that; within: seconds, None: until it is changed again."""
    return cast(LogView, _ask(bind, "POST", f"/log-level?level={level}" + (f"&seconds={within:g}" if within else "")))


def _path(name: str) -> str:
    pool, short = full_name.split(name)
    return "/".join(["/backends", *(quote(part, safe="") for part in (pool, short) if part)])


def _ask(bind: Bind, method: str, path: str, timeout: float = _TIMEOUT, body: object = None) -> Any:
    """The JSON of the answer, None if it has none. body: sent as JSON, if there is one."""
    try:
        answer = _exchange(bind, method, path, timeout, None if body is None else json.dumps(body))
        return None if answer is None else json.loads(answer)
    except ValueError:
        raise AdminError(f"what answers on {_text(bind)} is not lbproxy") from None


def _exchange(bind: Bind, method: str, path: str, timeout: float, sent: str | None) -> bytes | None:
    """The body of the answer, None if it has none."""
    connection = (
        _UnixConnection(bind, timeout) if isinstance(bind, Path) else http.client.HTTPConnection(*bind, timeout=timeout)
    )
    try:
        connection.request(method, path, sent, {} if sent is None else {"Content-Type": "application/json"})
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
    if response.status in (http.client.CONFLICT, http.client.BAD_REQUEST):
        raise AdminError(body.decode("utf-8", "replace").strip())
    if response.status == http.client.NO_CONTENT:
        return None
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
