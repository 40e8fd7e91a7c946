"""The typed calls of etcd v3 that lbproxy needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lbproxy.control.etcd import values
from lbproxy.control.etcd.errors import EtcdError, EtcdUnavailableError
from lbproxy.control.etcd.gateway import DEADLINE, Access, Gateway
from lbproxy.control.etcd.lease import Lease
from lbproxy.control.etcd.mirror import Mirror
from lbproxy.control.etcd.values import Listing, Message, Transaction
from lbproxy.control.etcd.watch import Watch

_T = TypeVar("_T")


def _ignore(_: EtcdError) -> None:
    """What is said of breaks to those who do not want to know."""


class Etcd:
    """One cluster. Keys are text, values are bytes; `within` is in seconds, and every call raises EtcdError.

    Calls that only read, or that may be carried out twice, are sent to the next endpoint when one does not answer.
    `repeatable` says so of a write: a caller that would repeat it can let it be repeated here.
    """

    def __init__(self, access: Access) -> None:
        """Call it on the running loop, and `close` it at the end. Nothing is asked yet."""
        self._gateway = Gateway(access)

    def __repr__(self) -> str:
        return f"<etcd at {self._gateway.endpoint}>"

    async def close(self) -> None:
        """Close every connection. Watches and leases have to be closed first."""
        await self._gateway.close()

    async def get(self, key: str, within: float = DEADLINE) -> values.KeyValue | None:
        """The key as it is; None if there is none."""
        told = await self._call("kv/range", {"key": values.encode(key)}, True, within)
        found = self._read(values.listing, told).values
        return found[0] if found else None

    async def list(self, prefix: str, within: float = DEADLINE) -> Listing:
        """Every key that begins with `prefix`, as they are at one revision."""
        return self._read(values.listing, await self._call("kv/range", values.prefix_range(prefix), True, within))

    async def put(
        self, key: str, value: bytes, lease: int = 0, *, repeatable: bool = False, within: float = DEADLINE
    ) -> int:
        """Write `key`; with a `lease` it vanishes when that ends. Returns the store's revision then."""
        body = {"key": values.encode(key), "value": values.encode(value), "lease": str(lease)}
        return self._read(values.revision, await self._call("kv/put", body, repeatable, within))

    async def delete(self, key: str, within: float = DEADLINE) -> int:
        """Delete `key`, if it is there. Returns the store's revision then."""
        return self._read(
            values.revision, await self._call("kv/deleterange", {"key": values.encode(key)}, True, within)
        )

    async def txn(
        self,
        when: Sequence[dict[str, Any]],
        then: Sequence[dict[str, Any]],
        otherwise: Sequence[dict[str, Any]] = (),
        *,
        repeatable: bool = False,
        within: float = DEADLINE,
    ) -> Transaction:
        """Carry out `then` if every comparison of `when` holds, else `otherwise`; see the end of `values`.

        A txn that was carried out and is repeated takes the way `otherwise`: read the key there, to see whose it is.
        """
        body = {"compare": list(when), "success": list(then), "failure": list(otherwise)}
        return self._read(values.transaction, await self._call("kv/txn", body, repeatable, within))

    async def grant(self, ttl: float, within: float = DEADLINE) -> tuple[int, float]:
        """A new lease and for how many seconds it is granted; etcd may grant more than `ttl`, in whole seconds."""
        told = await self._call("lease/grant", {"TTL": str(max(1, round(ttl)))}, True, within)
        return self._read(lambda message: (int(message["ID"]), float(message["TTL"])), told)

    async def keep_alive(self, lease: int, within: float = DEADLINE) -> float:
        """Seconds that the lease has from now on; 0 if it is gone."""
        told = await self._call("lease/keepalive", {"ID": str(lease)}, True, within)
        return self._read(lambda message: float(message.get("result", {}).get("TTL", 0)), told)

    async def revoke(self, lease: int, within: float = DEADLINE) -> None:
        """End a lease: its keys are deleted. Raises EtcdRefusedError if it is gone already."""
        await self._call("lease/revoke", {"ID": str(lease)}, True, within)

    async def hold(self, ttl: float) -> Lease:
        """A lease that is kept alive until it is revoked; see `Lease`."""
        return await Lease.grant(self, ttl)

    def watch(
        self, prefix: str, revision: int, failed: Callable[[EtcdError], None] = _ignore, cluster: str = ""
    ) -> Watch:
        """What changes under `prefix` from `revision` on; `failed` hears of every break. See `Watch`."""
        return Watch(self._gateway, prefix, revision, failed, cluster)

    def mirror(self, prefix: str, failed: Callable[[EtcdError], None] = _ignore) -> Mirror:
        """Every key under `prefix`, kept up to date; `failed` hears of every break. See `Mirror`."""
        return Mirror(self, prefix, failed)

    async def _call(self, path: str, body: Message, repeatable: bool, within: float) -> Message:
        return await self._gateway.call(f"/v3/{path}", body, repeatable=repeatable, within=within)

    def _read(self, reader: Callable[[Message], _T], told: Message) -> _T:
        try:
            return reader(told)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EtcdUnavailableError(self._gateway.endpoint, "it does not answer as etcd does", True) from None
