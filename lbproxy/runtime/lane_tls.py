"""TLS of the lanes to https backends: one for each pool that has such backends."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy import config as settings
from lbproxy.balance.member import Member
from lbproxy.config import Config
from lbproxy.errors import StartError
from lbproxy.net.tls import BackendTls
from lbproxy.runtime.build_pools import Refuse


class LaneTls:
    """That of each pool, by its name. It is made when the pool's first https backend is there."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.made: dict[str, BackendTls] = {}

    def __repr__(self) -> str:
        return f"<lane TLS of {' '.join(self.made) or 'no pool'}>"

    def of(self, pool: str) -> BackendTls:
        """That of the pool. Raises StartError when one of its files cannot be used."""
        if pool not in self.made:
            self.made[pool] = make(pool, self._config.pools[pool])
        return self.made[pool]

    def refuse(self, pool: str, member: Member) -> str:
        """Why `member` may not join the pool: TLS towards it could not be used; empty if it may."""
        return _problem(pool, member, self.of)


def refuse_without_lanes(config: Config) -> Refuse:
    """The same for a process that opens no lanes: what is made to find out is not kept."""
    usable: set[str] = set()

    def tried(pool: str) -> None:
        if pool not in usable:
            make(pool, config.pools[pool])
            usable.add(pool)

    return lambda pool, member: _problem(pool, member, tried)


def make(name: str, pool: settings.Pool) -> BackendTls:
    """TLS to the https backends of the pool `name`. Raises StartError."""
    tls = pool.tls
    own = None if tls.certificate is None or tls.key is None else (tls.certificate, tls.key)
    try:
        return BackendTls(tls.ca, verify=tls.verify, server_name=tls.server_name, own=own)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise StartError(f"pool.{name}.tls: {error}") from error


def _problem(pool: str, member: Member, make_it: Callable[[str], object]) -> str:
    if not member.url.startswith("https:"):
        return ""
    try:
        make_it(pool)
    except StartError as error:
        return f"{member.name}: {error}"
    return ""
