"""Which sockets a configuration needs."""

from __future__ import annotations

from lbproxy.config import Address, Config
from lbproxy.process.master.listening_sockets import Place, Wanted

ADMIN = "admin.bind"
HEALTH = "admin.health"
METRICS = "admin.metrics"
WEB = "admin.web.bind"


def listener_key(name: str) -> str:
    """The key of the configuration that says where the listener `name` is."""
    return f"listener.{name}.bind"


def wanted(config: Config) -> list[Wanted]:
    """A place for each listener, for health, metrics and dashboard, and for the admin interface, which is private."""
    found = [
        Wanted(listener_key(name), _place(listener_key(name), listener.bind))
        for name, listener in config.listeners.items()
    ]
    web = None if config.admin.web is None else config.admin.web.bind
    for key, bind in ((HEALTH, config.admin.health), (METRICS, config.admin.metrics), (WEB, web)):
        if bind is not None:
            found.append(Wanted(key, _place(key, bind)))
    return [*found, Wanted(ADMIN, _place(ADMIN, config.admin.bind), admin=True)]


def freebind(config: Config) -> list[str]:
    """The keys of those whose address may be one that this host does not have, or not yet."""
    return [
        listener_key(name)
        for name, listener in config.listeners.items()
        if listener.freebind and listener.bind.ip is not None
    ]


def _place(key: str, bind: Address) -> Place:
    if bind.path is not None:
        return Place(path=str(bind.path))
    return Place(bind.host, bind.port, tag="" if bind.port else key)
