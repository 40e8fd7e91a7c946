"""The files that pools take their backends from."""

from __future__ import annotations

from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.control.discovery.discovery import SHOWN
from lbproxy.control.discovery.file_source import FileSource, read_members
from lbproxy.control.discovery.source import SourceError
from lbproxy.preflight.report import Report
from lbproxy.runtime.build_pools import build_pool


def inspect_discovery(report: Report, config: Config, name: str) -> None:
    """The file of [pool.NAME.discover], if it has one, and each backend in it that the pool would leave out.

    These fail a check. A start does not wait for such a file: it is followed when it is there, and sound.
    """
    discover = config.pools[name].discover
    if discover is None or discover.path is None or report.will_make(discover.path):
        return
    where = full_name(("pool", name, "discover", "path"))
    try:
        members = read_members(discover.path)
    except SourceError as error:
        report.tolerate(where, str(error))
        return
    refused = build_pool(name, config.pools[name], config).apply(FileSource.name, members)
    for sentence in refused[:SHOWN]:
        report.tolerate(where, f"{discover.path}: {sentence}")
    if len(refused) > SHOWN:
        report.tolerate(where, f"{discover.path}: {len(refused) - SHOWN} more backends are left out")
