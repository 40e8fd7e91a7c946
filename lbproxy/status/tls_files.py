"""Whether what the files of TLS hold now is in use."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.keys import full_name
from lbproxy.control.snapshot import RefusedView, TlsFilesView
from lbproxy.net.http.web import WebService
from lbproxy.net.tls import BackendTls, ServerTls
from lbproxy.net.tls.files import Refused
from lbproxy.runtime.data_path import DataPath


def tls_files(data_path: DataPath) -> list[TlsFilesView]:
    """Those of every listener and pool that has some."""
    return [{"where": where, "refused": _view(tls.refused)} for where, tls in _in_use(data_path)]


def _view(refused: Refused | None) -> RefusedView | None:
    return None if refused is None else {"why": refused.why, "since": refused.since}


def _in_use(data_path: DataPath) -> Iterator[tuple[str, ServerTls | BackendTls]]:
    for name, listener in data_path.listeners.items():
        if isinstance(listener.service, WebService) and listener.service.tls is not None:
            yield full_name(("listener", name, "tls")), listener.service.tls
    for name, pool in data_path.pools.items():
        used: set[BackendTls | None] = {backend.lanes.options.tls for backend in pool.backends}
        for tls in filter(None, used):  # one, if any: the pool's
            yield full_name(("pool", name, "tls")), tls
