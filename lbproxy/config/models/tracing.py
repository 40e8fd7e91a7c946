"""[tracing]: lbproxy's part in the traces of requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import File, NotEmpty


def _collector(value: object) -> str:
    """The address of a collector; "" is none."""
    if value == "":
        return ""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    parts = addresses.absolute_url(value, ("http", "https"))
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise ValueError(f"{value!r} must have no query")
    return value.rstrip("/")


class Tracing(Table):
    """[tracing]: lbproxy takes part in traces (W3C Trace Context); `sample` of them are recorded.

    `endpoint` is where they are sent by OTLP over HTTP, without the /v1/traces at its end; "": nowhere. `ca`,
    `certificate` and `key` are for https, as in [fleet].
    """

    endpoint: Annotated[str, PlainValidator(_collector)] = ""
    sample: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.01
    service_name: NotEmpty = "lbproxy"
    ca: File | None = None
    certificate: File | None = None
    key: File | None = None
