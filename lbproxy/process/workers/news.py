"""The news of the pools for workers: leaves, joins and conditions of members, as one message."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.process.ipc.worker_messages import Members

_Named = dict[str, tuple[Pool, Backend]]
"""By POOL/NAME."""


class News:
    """Collects what happens until it is told (`message`); of each backend only what it comes to."""

    def __init__(self) -> None:
        self._left: dict[str, None] = {}
        self._joined: _Named = {}
        self._changed: _Named = {}

    def __repr__(self) -> str:
        return f"<news of {len(self._left)} left, {len(self._joined)} joined, {len(self._changed)} changed>"

    def __bool__(self) -> bool:
        return bool(self._left or self._joined or self._changed)

    def joined(self, pool: Pool, backend: Backend) -> None:
        """It has joined, after one of its name may have left."""
        self._joined[key(pool, backend)] = (pool, backend)
        self.changed(pool, backend)

    def left(self, pool: Pool, backend: Backend) -> None:
        """It has left; of one whose joining was not told yet, there is nothing to tell."""
        name = key(pool, backend)
        self._changed.pop(name, None)
        if self._joined.pop(name, None) is None:
            self._left[name] = None

    def changed(self, pool: Pool, backend: Backend) -> None:
        """How it is may have changed."""
        self._changed[key(pool, backend)] = (pool, backend)

    def message(self) -> Members:
        """Everything since the last call."""
        made = _message(self._left, self._joined, self._changed, whole=False)
        self._left, self._joined, self._changed = {}, {}, {}
        return made


def everything(pools: Iterable[Pool]) -> Members:
    """The message for one that knows nothing."""
    members = {key(pool, backend): (pool, backend) for pool in pools for backend in pool.backends}
    return _message((), members, members, whole=True)


def key(pool: Pool, backend: Backend) -> str:
    """POOL/NAME."""
    return full_name.join(pool.name, backend.name)


def _message(left: Iterable[str], joined: _Named, changed: _Named, whole: bool) -> Members:
    return Members(
        whole,
        list(left),
        {name: Member(one.name, one.url, one.weight, one.standby) for name, (_, one) in joined.items()},
        {name: pool.condition(one) for name, (pool, one) in changed.items()},
    )
