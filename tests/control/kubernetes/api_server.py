"""An API server of Kubernetes, for EndpointSlices alone, which keeps the rules that a client has to know.

    async with ApiServer(folder) as server:
        server.put(endpoint_slice("c-1", ready("a", "10.0.0.1")))       # a new version, and an event
        server.kubeconfig(path)                                         # or server.mount(folder): a pod's account

What it keeps: one version counter for everything; lists in pages, whose `continue` is good while its version is;
watches that begin after a version, with the events of a selector (an object that it does not choose any more is
deleted for the watcher); bookmarks only for those who allow them; 410 Gone for a version that was compacted, as an
event of the watch or as a status; the end of a watch after timeoutSeconds; 401 and 403 with a Status; a watcher that
does not read loses its watch. Lines come cut anywhere.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml
from aiohttp import web

from tests.pki import Authority

PATH = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
LABEL = "kubernetes.io/service-name"
WITHIN = 30.0  # seconds
BACKLOG = 100
"""Events that a watcher may be behind."""

Object = dict[str, Any]


class Event(NamedTuple):
    """What changed at `version`: the object before and after it, None if it was not there."""

    version: int
    before: Object | None
    after: Object | None


class Asked(NamedTuple):
    """A request: list or watch, and its query."""

    verb: str
    query: Mapping[str, str]
    token: str


class ApiServer:
    """At `url`, with the account of `token`, in `namespace`."""

    def __init__(self, folder: Path, namespace: str = "login", host: str = "127.0.0.1") -> None:
        authority = Authority.root("kubernetes")
        files = authority.server(host, "kubernetes.test").write(folder, "kube-apiserver")
        self.ca = authority.write_certificate(folder / "kube-ca.crt")
        self.namespace = namespace
        self.token = "secret-token-1"
        self.verbs = {"list", "watch"}  # of the account's Role
        self.asked: list[Asked] = []
        self.news = asyncio.Condition()  # something was asked
        self.objects: dict[str, Object] = {}
        self.version = 1000
        self.failure: tuple[int, dict[str, str]] | None = None  # a status and headers for everybody
        self.gone_as_status = False
        self.storm = False  # every watch is told that its version is gone
        self.silent = False  # a watch says nothing, and never ends
        self.garbage = b""  # that each watch says, once
        self._history: list[Event] = []
        self._compacted = 0
        self._watchers: set[asyncio.Queue[Event | None]] = set()
        self._pages: dict[str, tuple[int, list[Object]]] = {}
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(files.chain, files.key)
        self.host = host
        with socket.create_server((host, 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"https://{host}:{self.port}"
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, at the same port each time."""
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.0, handler_cancellation=True, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls, reuse_address=True).start()

    async def stop(self) -> None:
        """Close the listener and every connection; the objects stay, as in etcd."""
        runner, self._runner = self._runner, None
        self.end_watches()
        if runner is not None:
            async with asyncio.timeout(WITHIN):
                await runner.cleanup()

    def mount(self, folder: Path) -> dict[str, str]:
        """Write what the kubelet mounts into `folder`; returns the variables of a pod."""
        (folder / "token").write_text(f"{self.token}\n")
        (folder / "ca.crt").write_bytes(self.ca.read_bytes())
        (folder / "namespace").write_text(self.namespace)
        return {"KUBERNETES_SERVICE_HOST": self.host, "KUBERNETES_SERVICE_PORT": str(self.port)}

    def kubeconfig(self, path: Path, **user: Any) -> Path:
        """Write one, with `user` in the place of its user, who has the token."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": self.namespace}}],
            "clusters": [{"name": "k", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "u", "user": user or {"token": self.token}}],
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def put(self, told: Object) -> int:
        """Create or replace a slice; its version."""
        name = told["metadata"]["name"]
        self.version += 1
        kept = copy.deepcopy(told)
        kept["metadata"]["resourceVersion"] = str(self.version)
        before, self.objects[name] = self.objects.get(name), kept
        self._happened(Event(self.version, before, kept))
        return self.version

    def delete(self, name: str) -> int:
        """The version without that slice."""
        self.version += 1
        before = copy.deepcopy(self.objects.pop(name))
        before["metadata"]["resourceVersion"] = str(self.version)  # as the last event of an object has it
        self._happened(Event(self.version, before, None))
        return self.version

    def something_else_changes(self, times: int = 1) -> int:
        """Other objects of the cluster get new versions."""
        self.version += times
        return self.version

    def compact(self) -> None:
        """Forget every version before this one."""
        self._compacted = self.version
        self._history.clear()

    def bookmark(self) -> None:
        """Tell watchers of the version, as is done once a minute."""
        self._happened(Event(self.version, None, None))

    def end_watches(self) -> None:
        """As a server does that is shut down."""
        for watcher in self._watchers:
            watcher.put_nowait(None)

    async def has(self, count: int, verb: str) -> Asked:
        """The last of at least `count` requests of that kind, once there are."""
        async with asyncio.timeout(WITHIN), self.news:
            await self.news.wait_for(lambda: len(self.of(verb)) >= count)
        return self.of(verb)[-1]

    def of(self, verb: str) -> list[Asked]:
        return [one for one in self.asked if one.verb == verb]

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _happened(self, event: Event) -> None:
        if event.before or event.after:
            self._history.append(event)
        for watcher in self._watchers:
            if watcher.qsize() >= BACKLOG:
                while not watcher.empty():
                    watcher.get_nowait()
                watcher.put_nowait(None)
            else:
                watcher.put_nowait(event)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        verb = "watch" if query.get("watch") == "true" else "list"
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append(Asked(verb, query, token))
        async with self.news:
            self.news.notify_all()
        if self.failure is not None:
            return self._status(self.failure[0], "Failure", "the test wants it so", self.failure[1])
        if token != self.token:
            return self._status(401, "Unauthorized", "Unauthorized")
        namespace = request.match_info["namespace"]
        if verb not in self.verbs or namespace != self.namespace:
            return self._status(403, "Forbidden", (
                f'endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:{self.namespace}:lbproxy"'
                f' cannot {verb} resource "endpointslices" in API group "discovery.k8s.io" in the namespace'
                f' "{namespace}"'))  # fmt: skip
        key, _, value = query.get("labelSelector", "").partition("=")
        if verb == "list":
            return self._list(query, (key, value))
        return await self._watch(request, query, (key, value))

    def _list(self, query: Mapping[str, str], selector: tuple[str, str]) -> web.Response:
        limit = int(query.get("limit", "0"))
        if "continue" in query:
            version, items = self._pages.pop(query["continue"], (0, []))
            if version < self._compacted or version == 0:
                return self._status(410, "Expired", "The provided continue parameter is too old")
        else:
            version, items = self.version, [one for one in self.objects.values() if _chosen(one, selector)]
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            meta["continue"] = f"after-{version}-{len(items) - limit}"
            meta["remainingItemCount"] = len(items) - limit
            self._pages[meta["continue"]] = version, items[limit:]
            items = items[:limit]
        kind = {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1"}
        return web.json_response({**kind, "metadata": meta, "items": items})

    async def _watch(
        self, request: web.Request, query: Mapping[str, str], selector: tuple[str, str]
    ) -> web.StreamResponse:
        version = int(query["resourceVersion"])
        gone = version < self._compacted or self.storm
        if gone and self.gone_as_status:
            return self._status(410, "Gone", f"too old resource version: {version} ({self._compacted})")
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        for event in self._history:
            if event.version > version:
                queue.put_nowait(event)
        self._watchers.add(queue)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            if gone:
                text = f"too old resource version: {version} ({self._compacted})"
                await _write(response, "ERROR", _status(410, "Expired", text))
            elif self.silent:
                await asyncio.Event().wait()
            else:
                await response.write(self.garbage)
                async with asyncio.timeout(float(query["timeoutSeconds"])):
                    await self._tell(response, queue, "allowWatchBookmarks" in query, selector)
        except TimeoutError:
            pass
        finally:
            self._watchers.discard(queue)
        return response

    async def _tell(
        self,
        response: web.StreamResponse,
        queue: asyncio.Queue[Event | None],
        bookmarks: bool,
        selector: tuple[str, str],
    ) -> None:
        while (event := await queue.get()) is not None:
            before = event.before if event.before and _chosen(event.before, selector) else None
            after = event.after if event.after and _chosen(event.after, selector) else None
            if event.before is None and event.after is None:
                if bookmarks:
                    await _write(response, "BOOKMARK", _empty(event.version))
            elif after is not None:
                await _write(response, "ADDED" if before is None else "MODIFIED", after)
            elif before is not None:
                before = {**before, "metadata": {**before["metadata"], "resourceVersion": str(event.version)}}
                await _write(response, "DELETED", before)

    def _status(self, code: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        return web.json_response(_status(code, reason, message), status=code, headers=headers)


async def _write(response: web.StreamResponse, kind: str, thing: Object) -> None:
    line = json.dumps({"type": kind, "object": thing}).encode() + b"\n"
    cut = random.randrange(len(line))
    await response.write(line[:cut])
    await response.write(line[cut:])


def _status(code: int, reason: str, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code}  # fmt: skip


def _empty(version: int) -> Object:
    """What a bookmark has: an object of the kind with nothing but the version."""
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": meta, "addressType": "",
            "endpoints": None, "ports": None}  # fmt: skip


def _chosen(one: Object, selector: tuple[str, str]) -> bool:
    key, value = selector
    return not key or one["metadata"].get("labels", {}).get(key) == value


def endpoint(
    pod: str | None, *addresses: str, ready: bool | None = True, serving: bool | None = None,
    terminating: bool | None = None, uid: str = "",
) -> Object:  # fmt: skip
    """An endpoint of a slice, as the controller writes it."""
    found: Object = {"addresses": [*addresses]}
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    found["conditions"] = {name: value for name, value in conditions.items() if value is not None}
    if pod is not None:
        found["targetRef"] = {"kind": "Pod", "namespace": "login", "name": pod, "uid": uid or f"uid-of-{pod}"}
    return found


def terminating(pod: str, *addresses: str, serving: bool = True) -> Object:
    """One whose pod is told to end."""
    return endpoint(pod, *addresses, ready=False, serving=serving, terminating=True)


def endpoint_slice(
    name: str, *endpoints: Object, service: str = "connectors", port: int = 4000, port_name: str = "http",
    family: str = "IPv4",
) -> Object:  # fmt: skip
    """An EndpointSlice of `service`."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "login", "labels": {LABEL: service}},
        "addressType": family,
        "endpoints": [*endpoints] or None,
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }
