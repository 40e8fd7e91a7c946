from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lbproxy.control.kubernetes import Api, KubernetesError, PodAccount, Reflector
from lbproxy.control.kubernetes import api as api_module
from lbproxy.control.kubernetes import reflector as module
from lbproxy.control.kubernetes.reflector import Times
from tests.control.kubernetes.api_server import BACKLOG, PATH, ApiServer, endpoint, endpoint_slice
from tests.namespaces import Switch, needs_root

WITHIN = 30.0  # seconds; each test awaits what it wants


def addresses(told: Mapping[str, Any]) -> list[str]:
    return [one["addresses"][0] for one in told["endpoints"] or ()]


def reflect(api: Api, times: Times = Times()) -> Reflector[list[str]]:  # noqa: B008 # a tuple
    query = {"labelSelector": "kubernetes.io/service-name=connectors"}
    return Reflector(api, PATH.format(namespace="login"), query, addresses, times)


@pytest.fixture
async def reflector(api: Api) -> AsyncIterator[Reflector[list[str]]]:
    found = reflect(api)
    yield found
    found.close()


async def until(reflector: Reflector[list[str]], wanted: Mapping[str, list[str]]) -> None:
    """Go on until it has them; a catch-up that fails is tried again."""
    async with asyncio.timeout(WITHIN):
        while reflector.objects != wanted:
            try:
                await reflector.catch_up()
            except KubernetesError:
                await asyncio.sleep(0.02)
                continue
            if reflector.objects != wanted:
                await reflector.changed(WITHIN)


async def test_what_is_there_is_listed_and_what_changes_is_watched(
    server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    server.put(endpoint_slice("d-1", endpoint("d", "10.9.9.9"), service="others"))
    version = server.something_else_changes()
    await reflector.catch_up()
    assert reflector.objects == {"c-1": ["10.0.0.1"]}
    watch = await server.has(1, "watch")
    assert watch.query["resourceVersion"] == str(version)
    assert watch.query["allowWatchBookmarks"] == "true"
    assert 240 <= int(watch.query["timeoutSeconds"]) <= 300
    server.put(endpoint_slice("c-2", endpoint("b", "10.0.0.2")))
    await until(reflector, {"c-1": ["10.0.0.1"], "c-2": ["10.0.0.2"]})
    server.put(endpoint_slice("c-1"))
    await until(reflector, {"c-1": [], "c-2": ["10.0.0.2"]})
    server.delete("c-1")
    await until(reflector, {"c-2": ["10.0.0.2"]})
    assert [len(server.of(verb)) for verb in ("list", "watch")] == [1, 1]


async def test_what_the_selector_chooses_no_more_is_gone(server: ApiServer, reflector: Reflector[list[str]]) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    await reflector.catch_up()
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1"), service="others"))
    await until(reflector, {})


async def test_changes_that_come_together_are_one(server: ApiServer, reflector: Reflector[list[str]]) -> None:
    await reflector.catch_up()
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    server.put(endpoint_slice("c-2", endpoint("b", "10.0.0.2")))
    await reflector.changed(WITHIN)
    assert reflector.objects == {"c-1": ["10.0.0.1"], "c-2": ["10.0.0.2"]}


async def test_a_list_in_pages(
    server: ApiServer, reflector: Reflector[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    wanted = {}
    for number in range(1, 6):
        server.put(endpoint_slice(f"c-{number}", endpoint("a", f"10.0.0.{number}")))
        wanted[f"c-{number}"] = [f"10.0.0.{number}"]
    await reflector.catch_up()
    assert reflector.objects == wanted
    assert [one.query["limit"] for one in server.of("list")] == ["2"] * 3


async def test_a_list_that_takes_longer_than_its_version_lives(
    server: ApiServer, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    for number in (1, 2):
        server.put(endpoint_slice(f"c-{number}", endpoint("a", f"10.0.0.{number}")))
    reflector = reflect(api)
    loading = asyncio.create_task(reflector.catch_up())
    await server.has(1, "list")
    server.something_else_changes()
    server.compact()
    await loading
    assert set(reflector.objects) == {"c-1", "c-2"}
    assert "limit" not in server.of("list")[-1].query
    reflector.close()


@pytest.mark.parametrize("bookmarks", [True, False])
async def test_a_watch_goes_on_from_the_last_version(
    bookmarks: bool, server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    version = server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    await reflector.catch_up()
    await server.has(1, "watch")
    if bookmarks:
        version = server.something_else_changes(5)
        server.bookmark()
    server.end_watches()
    await reflector.changed(WITHIN)
    await reflector.catch_up()
    assert (await server.has(2, "watch")).query["resourceVersion"] == str(version)
    assert len(server.of("list")) == 1


@pytest.mark.parametrize("as_status", [True, False])
async def test_a_version_that_is_gone_is_listed_again(
    as_status: bool, server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    server.put(endpoint_slice("c-2", endpoint("b", "10.0.0.2")))
    await reflector.catch_up()
    await server.has(1, "watch")
    server.gone_as_status = as_status
    await server.stop()
    server.delete("c-2")  # nobody hears of it
    server.put(endpoint_slice("c-3", endpoint("c", "10.0.0.3")))
    server.compact()
    await server.start()
    await until(reflector, {"c-1": ["10.0.0.1"], "c-3": ["10.0.0.3"]})
    assert len(server.of("list")) == 2


async def test_a_storm_of_410_is_waited_for_longer_each_time(
    server: ApiServer,
    reflector: Reflector[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    waits: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    server.storm = True
    for number in range(1, 9):
        server.put(endpoint_slice("c-1", endpoint("a", f"10.0.0.{number}")))
        await reflector.catch_up()
        assert reflector.objects == {"c-1": [f"10.0.0.{number}"]}, "each list is news"
        await reflector.changed(WITHIN)  # hears of 410
        await reflector.changed(WITHIN)
    assert len(server.of("list")) == 8
    longest = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert len(waits) == 8
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    told = [record for record in caplog.records if record.message == "kubernetes_watch_failing"]
    assert len(told) == 1
    assert told[0].levelno == logging.WARNING
    server.storm = False
    await reflector.catch_up()
    server.put(endpoint_slice("c-2"))
    await until(reflector, {"c-1": ["10.0.0.8"], "c-2": []})
    await reflector.catch_up(again=True)
    assert len(server.of("list")) == 10, "it works again, and nothing is waited for"


async def test_a_watch_that_says_nothing_is_given_up(server: ApiServer, api: Api) -> None:
    reflector = reflect(api, Times(least=0.2, most=0.2, grace=0.1, short=0.1))
    server.silent = True
    await reflector.catch_up()
    await server.has(1, "watch")
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    server.silent = False
    await until(reflector, {"c-1": ["10.0.0.1"]})
    assert [len(server.of(verb)) for verb in ("list", "watch")] == [1, 2]
    reflector.close()


async def test_a_watch_that_the_server_ends_in_time_is_no_failure(server: ApiServer, api: Api) -> None:
    reflector = reflect(api, Times(least=1.0, most=1.0, grace=30.0, short=0.5))
    for _ in range(2):
        await reflector.catch_up()
        await reflector.changed(WITHIN)
    assert [len(server.of(verb)) for verb in ("list", "watch")] == [1, 2]
    reflector.close()


async def test_one_that_reads_slowly_loses_its_watch_and_nothing_else(
    server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    await reflector.catch_up()
    await server.has(1, "watch")
    for number in range(2 * BACKLOG):
        server.put(endpoint_slice("c-1", endpoint("a", f"10.0.1.{number}")))
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    await until(reflector, {"c-1": ["10.0.0.1"]})
    assert len(server.of("watch")) >= 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"not JSON\n",
        b"[]\n",
        b'{"type":"ADDED"}\n',
        b'{"type":"ADDED","object":{"metadata":{}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"5"}}}\n',
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: leader changed"}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"half a li',
    ],
)
async def test_what_makes_no_sense_costs_the_watch_and_nothing_else(
    garbage: bytes, server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    server.garbage = garbage
    await reflector.catch_up()
    await server.has(1, "watch")
    server.garbage = b""
    server.end_watches()
    server.put(endpoint_slice("c-2", endpoint("b", "10.0.0.2")))
    await until(reflector, {"c-1": ["10.0.0.1"], "c-2": ["10.0.0.2"]})


async def test_a_list_that_makes_no_sense_keeps_what_was_known(
    server: ApiServer, reflector: Reflector[list[str]]
) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    await reflector.catch_up()
    server.objects["c-2"] = {"metadata": {"name": "c-2", "labels": {"kubernetes.io/service-name": "connectors"}}}
    with pytest.raises(KubernetesError, match="there is no resourceVersion"):
        await reflector.catch_up(again=True)
    assert reflector.objects == {"c-1": ["10.0.0.1"]}
    del server.objects["c-2"]
    await reflector.catch_up()
    assert reflector.objects == {"c-1": ["10.0.0.1"]}


async def test_a_server_that_is_gone_keeps_what_was_known(server: ApiServer, reflector: Reflector[list[str]]) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    await reflector.catch_up()
    await server.stop()
    await reflector.changed(WITHIN)
    with pytest.raises(KubernetesError, match=rf"^{server.url}: "):
        await reflector.catch_up()
    assert reflector.objects == {"c-1": ["10.0.0.1"]}
    await server.start()
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.2")))
    await until(reflector, {"c-1": ["10.0.0.2"]})
    assert len(server.of("list")) == 1, "it goes on from the version that it had"


@needs_root
async def test_a_server_that_is_gone_without_a_word_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody closes the connection of the watch, which may be silent for minutes."""
    monkeypatch.setattr(api_module, "_KEEPALIVE", tuple((option, 1) for option, _ in api_module._KEEPALIVE))
    monkeypatch.setattr(api_module, "DEADLINE", 1.0)
    with Switch("apiserver", "lbproxy") as switch:
        there, here = switch.hosts["apiserver"], switch.hosts["lbproxy"]
        with there.entered():
            server = ApiServer(tmp_path, host=str(there.address))
            await server.start()
        with here.entered():
            api = Api(PodAccount(tmp_path, server.mount(tmp_path)))
            reflector = reflect(api)
            await reflector.catch_up()
            switch.unplug("apiserver")
            server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
            await reflector.changed(WITHIN)
            with pytest.raises(KubernetesError):
                await reflector.catch_up()
            switch.plug("apiserver")
            await until(reflector, {"c-1": ["10.0.0.1"]})
            assert len(server.of("list")) == 1, "it goes on from the version that it had"
            reflector.close()
            await api.close()
        await server.stop()
