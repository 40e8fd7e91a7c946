"""`kind = "kubernetes"`: the endpoints of a Service, from its EndpointSlices."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from lbproxy.control.discovery.slices import SERVICE, Port, Slice, merge, read_slice
from lbproxy.control.discovery.source import Answer, Source, SourceError
from lbproxy.control.kubernetes import Account, Api, KubernetesError, Reflector
from lbproxy.control.kubernetes.errors import RefusedError
from lbproxy.control.kubernetes.reflector import Times

LONGEST_REST = 60.0
"""Seconds that an API server may ask to be left alone."""


class KubernetesSource(Source):
    """Each pod of `service` in `namespace` is a member, by its name. An empty namespace is the account's own."""

    name = "kubernetes"

    def __init__(
        self,
        account: Account,
        service: str,
        scheme: str,
        port: Port = None,
        namespace: str = "",
        times: Times = Times(),  # noqa: B008 # a tuple
    ) -> None:
        at = "its only port" if port is None else f"port {port}"
        self.where = f"{namespace or 'own namespace'}/{service}, {scheme}, {at}, by {account.where}"
        self._account = account
        self._namespace = namespace
        self._service = service
        self._scheme, self._port = scheme, port
        self._times = times
        self._api: Api | None = None
        self._slices: Reflector[Slice] | None = None
        self._failed = False
        self._rest = 0.0  # seconds

    def __repr__(self) -> str:
        return f"<kubernetes source {self.where}>"

    async def start(self) -> None:
        """Raises SourceError when it is not known which namespace is meant."""
        try:
            self._namespace = self._namespace or await self._account.namespace()
        except KubernetesError as error:
            raise SourceError(str(error)) from None
        self._api = Api(self._account)
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self._namespace}/endpointslices"
        query = {"labelSelector": f"{SERVICE}={self._service}"}
        self._slices = Reflector(self._api, path, query, self._read, self._times)

    async def stop(self) -> None:
        """See `Source`."""
        if self._slices is not None:
            self._slices.close()
        if self._api is not None:
            await self._api.close()

    async def look(self, again: bool = False) -> Answer:
        """What the watch has brought, or a list. Raises SourceError."""
        assert self._slices is not None, "start comes first"
        self._failed, self._rest = True, 0.0
        try:
            await self._slices.catch_up(again)
            found = merge(self._slices.objects.values())
        except KubernetesError as error:
            self._rest = min(LONGEST_REST, error.retry_after)
            raise SourceError(self._explain(error)) from None
        except ValueError as error:
            raise SourceError(f"{self._namespace}/{self._service}: {error}") from None
        self._failed = False
        return Answer(found.members, left_out=found.left_out, leaving=found.leaving)

    async def wait(self, seconds: float) -> None:
        """Return early after a change. After a failure, at a time that not all balancers have."""
        if self._failed or self._slices is None:
            await asyncio.sleep(max(seconds, self._rest) * random.uniform(0.5, 1.0) + self._rest / 2)
        else:
            await self._slices.changed(seconds)

    def _read(self, told: Mapping[str, Any]) -> Slice:
        return read_slice(told, self._scheme, self._port)

    def _explain(self, error: KubernetesError) -> str:
        if not isinstance(error, RefusedError):
            return str(error)
        match error.status:
            case 403:
                return (
                    f"{error}; a Role in the namespace {self._namespace} has to allow the verbs list and watch for"
                    " endpointslices of the API group discovery.k8s.io, and a RoleBinding has to give it to the account"
                )
            case 404:
                return f"{error}; Kubernetes 1.21 or newer is needed"
        return str(error)
