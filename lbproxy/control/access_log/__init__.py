"""The access log: one JSON object a request (`access_log`), formatted by compiled code (`access_line`)."""

from lbproxy.control.access_log.access_log import BATCH, AccessLog

__all__ = ["BATCH", "AccessLog"]
