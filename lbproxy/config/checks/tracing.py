"""[tracing]: what belongs together, and what is there for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks.look import Document, is_url, table, without_meaning
from lbproxy.errors import Problem

_TLS = ("ca", "certificate", "key")


def problems(document: Document) -> Iterator[Problem]:
    """Half a pair, and files of TLS without TLS."""
    tracing = table(document, "tracing")
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if key in tracing and other not in tracing:
            yield Problem(f"tracing.{other}", f"missing; {key} needs it")
    endpoint = tracing.get("endpoint", "")
    if isinstance(endpoint, str) and is_url(endpoint, "http"):
        yield from without_meaning(("tracing",), tracing, _TLS, "without https:// in tracing.endpoint")


def warnings(document: Document) -> Iterator[Problem]:
    """Keys about a collector, where there is none."""
    tracing = table(document, "tracing")
    if tracing.get("endpoint", "") == "":
        yield from without_meaning(("tracing",), tracing, (*_TLS, "service_name"), "without tracing.endpoint")
