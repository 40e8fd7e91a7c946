"""Whether a request may be sent a second time, to another backend, after it failed on one."""

from __future__ import annotations

_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
# Safe by RFC 9110 section 9.2.1. PUT and DELETE are idempotent by 9.2.2, but only as far as the application keeps
# to it, and what stands behind lbproxy logs people in: nothing that may count twice is repeated. TRACE is not served.


def replayable(method: str | bytes, has_body: bool, has_connection_token: bool) -> bool:
    """True if a request that was (partly) sent may be sent again; one of which no byte was sent may always.

    `has_body` is False only if there is nothing to send again: a body is streamed, so it is gone.
    `has_connection_token` (`Credential.is_connection_token`): a Negotiate or NTLM token is presented at most once,
    because another instance, with a replay cache of its own, would accept it and run the request twice (rule 6 of
    docs/lanes.md).
    """
    name = method.decode("latin-1") if isinstance(method, bytes) else method
    return name in _METHODS and not has_body and not has_connection_token
