"""From the configuration to the model: pools and their members, with nothing that moves bytes."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.config import Config

Refuse = Callable[[str, Member], str]
"""Given a pool's name and a member: why it may not join; empty if it may."""

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_PORTS = {"http": 80, "https": 443}


def build_pool(name: str, options: settings.Pool, config: Config, refuse: Refuse = lambda pool, member: "") -> Pool:
    """The pool `name` with the members that the file gives it."""
    check = options.check
    return Pool(
        name,
        [Backend(one.name, one.url, one.weight, one.standby) for one in options.written],
        Rules(check.rise, check.fall, options.consecutive_errors, check.interval, options.readmit_backoff),
        options.when_all_down,
        options.slow_start,
        options.retry_budget,
        standby_below=options.standby_below,
        max_backends=options.max_backends,
        refuse=lambda member: own_listener(config, member) or refuse(name, member),
    )


def own_listener(config: Config, member: Member) -> str:
    """Says so if `member` is one of lbproxy's own listeners, which would send requests around for ever; else empty.

    Only addresses that are written in the URL are compared, and those of this host as every host knows them.
    """
    parts = urlsplit(member.url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    for name, listener in config.listeners.items():
        bind = listener.bind
        if bind.port != port:
            continue
        if host == bind.host or (host in _HERE and bind.host in _EVERYWHERE | _HERE):
            return f"{member.name}: {member.url} is lbproxy's own listener.{name} ({bind})"
    return ""
