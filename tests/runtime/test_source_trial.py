from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from lbproxy.config import Config, load
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.registry import Connector
from lbproxy.control.etcd import Access, Etcd
from lbproxy.runtime.source_trial import SourceTrial, try_etcd, try_sources
from tests.control.kubernetes.api_server import ApiServer, endpoint, endpoint_slice

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:8080"
pool = "listed"
[pool.listed]
backends = [{{ name = "here", url = "http://localhost:4000", expand = true }}]
discover = {{ kind = "file", path = "list.json" }}
[pool.missing]
discover = {{ kind = "file", path = "missing.json" }}
[pool.registered]
discover = {{ kind = "etcd" }}
[fleet]
name = "{fleet}"
etcd = ["{etcd}", "http://127.0.0.1:9"]
"""

KUBERNETES = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:8080"
pool = "pods"
[pool.pods.discover]
kind = "kubernetes"
service = "connectors"
port = "http"
kubeconfig = "admin.conf"
"""


def config(folder: Path, fleet: str, etcd: str) -> Config:
    (folder / "list.json").write_text('[{"name": "c1", "url": "http://c1:1"}, {"name": "c 2", "url": "http://c2:1"}]')
    path = folder / "lb.toml"
    path.write_text(FILE.format(fleet=fleet, etcd=etcd))
    return load(path, {})


async def test_a_service_of_kubernetes(tmp_path: Path) -> None:
    async with ApiServer(tmp_path) as server:
        server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1"), endpoint("b", "nowhere")))
        server.kubeconfig(tmp_path / "admin.conf")
        path = tmp_path / "lb.toml"
        path.write_text(KUBERNETES)
        where = f"own namespace/connectors, http, port http, by {tmp_path}/admin.conf"
        found = await try_sources(load(path, {}))
        [trial] = found.values()
        assert (trial.where, trial.members, len(trial.problems)) == (where, 1, 1)
        server.verbs = {"list"}
        [trial] = (await try_sources(load(path, {}))).values()
        assert trial.members is None
        assert "cannot watch resource" in trial.problems[0]


async def test_what_each_source_would_give(tmp_path: Path, etcd_url: str) -> None:
    fleet = uuid4().hex
    etcd = Etcd(Access((etcd_url,)))
    prefix = registry.connectors(fleet, "registered")
    await etcd.put(f"{prefix}c1", Connector("http://c1:4000").encode())
    await etcd.put(f"{prefix}c2", b"{}")
    found = await try_sources(config(tmp_path, fleet, etcd_url))
    assert list(found) == [
        ("listed", "expand:here"),
        ("listed", "file-list"),
        ("missing", "file-list"),
        ("registered", "etcd"),
    ]
    assert (found["listed", "expand:here"].members or 0) >= 1
    listed = found["listed", "file-list"]
    assert (listed.where, listed.members) == (f"{tmp_path}/list.json", 1)
    [problem] = listed.problems
    assert problem.startswith("'c 2' is no name for a backend")
    missing = f"{tmp_path}/missing.json"
    assert found["missing", "file-list"] == SourceTrial(missing, None, (f"{missing}: No such file or directory",))
    assert found["registered", "etcd"] == SourceTrial(prefix, 1, ("c2: format None, where 1 is known",))
    assert (await etcd.list(registry.balancers(fleet, "registered"))).values == (), "nothing is acknowledged"
    await etcd.close()


async def test_each_endpoint_of_etcd(tmp_path: Path, etcd_url: str) -> None:
    fleet = config(tmp_path, "eu", etcd_url).fleet
    assert fleet is not None
    found = await try_etcd(fleet)
    assert found[etcd_url] == ""
    assert found["http://127.0.0.1:9"] == "connection refused"
