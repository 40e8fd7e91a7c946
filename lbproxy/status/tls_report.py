"""What is known of the TLS of a data path, in a form that crosses a channel: workers tell it to their generation."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TypedDict

from lbproxy.config import Config
from lbproxy.control.snapshot import ShutOutView, TlsFilesView
from lbproxy.net.http.web import WebService
from lbproxy.runtime.data_path import DataPath
from lbproxy.status.certificate_expiry import Ending, endings
from lbproxy.status.tls_files import tls_files


class TlsReport(TypedDict):
    """When what is in use ends, the files, and the authorities without a revocation list, by the listener."""

    endings: list[Ending]
    files: list[TlsFilesView]
    shut_out: dict[str, ShutOutView]


NOTHING: TlsReport = {"endings": [], "files": [], "shut_out": {}}


def tls_report(config: Config, data_path: DataPath, now: float) -> TlsReport:
    """That of this process at `now`, in seconds since the epoch."""
    shut_out: dict[str, ShutOutView] = {}
    for name, listener in data_path.listeners.items():
        tls = listener.service.tls if isinstance(listener.service, WebService) else None
        found = None if tls is None else tls.shut_out(now)
        if found is not None:
            shut_out[name] = {"authorities": list(found.authorities), "everybody": found.everybody}
    return {"endings": endings(config, data_path), "files": tls_files(data_path), "shut_out": shut_out}


def merged(reports: Iterable[TlsReport]) -> TlsReport:
    """That of several processes that read the same files: what goes wrong in any of them goes wrong."""
    found = [report for report in reports if report["files"]]
    if not found:
        return NOTHING
    files = {one["where"]: one for one in found[0]["files"]}
    for report in found[1:]:
        for one in report["files"]:
            if one["where"] not in files or files[one["where"]]["refused"] is None:
                files[one["where"]] = one
    shut_out = {name: view for report in reversed(found) for name, view in report["shut_out"].items()}
    return {"endings": found[0]["endings"], "files": list(files.values()), "shut_out": shut_out}


def together(one: TlsReport, other: TlsReport) -> TlsReport:
    """That of two processes that read different files, what ends first in front."""
    endings = sorted((Ending(*ending) for ending in (*one["endings"], *other["endings"])), key=attrgetter("ends"))
    return {
        "endings": endings,
        "files": [*one["files"], *other["files"]],
        "shut_out": {**one["shut_out"], **other["shut_out"]},
    }
