from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.balance.belief import Rules
from lbproxy.config import load
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.discovery.dns_source import AddressSource, ServiceSource
from lbproxy.control.discovery.etcd_source import EtcdSource
from lbproxy.control.discovery.file_source import FileSource
from lbproxy.control.discovery.kubernetes_source import KubernetesSource
from lbproxy.errors import MissingExtraError
from lbproxy.runtime.build_discovery import Registry, make_discoveries
from lbproxy.runtime.build_etcd import connect
from lbproxy.runtime.build_pools import build_pool

FILE = """
server_url = "http://login.test"
[listener.a]
bind = "127.0.0.1:8080"
pool = "p"
[pool.p]
"""


def made(directory: Path, lines: str) -> list[Discovery]:
    path = directory / "lb.toml"
    path.write_text(FILE + lines)
    config = load(path, {})
    return make_discoveries(build_pool("p", config.pools["p"], config), config.pools["p"])


def test_a_pool_of_the_file_alone_has_none(tmp_path: Path) -> None:
    assert made(tmp_path, 'backends = [{ name = "a", url = "http://a" }]') == []


def test_a_file(tmp_path: Path) -> None:
    [found] = made(tmp_path, 'discover = { kind = "file", path = "b.json", on_empty = "accept", empty_after = "5s" }')
    assert isinstance(found.source, FileSource)
    assert found.source.where == str(tmp_path / "b.json")
    assert found.belief.rules == Rules("accept", 5.0)


def test_dns(tmp_path: Path) -> None:
    keys = 'kind = "dns", name = "c.test.", nameservers = ["10.0.0.2", "::1"], scheme = "https"'
    [at_addresses] = made(tmp_path, f"discover = {{ {keys}, port = 4000 }}")
    [services] = made(tmp_path, f'discover = {{ {keys}, record = "srv", interval = "5s" }}')
    assert isinstance(at_addresses.source, AddressSource)
    assert isinstance(services.source, ServiceSource)
    assert at_addresses.source.where == "c.test. A AAAA, https port 4000 at 10.0.0.2:53, [::1]:53"
    assert services.source.where == "c.test. SRV, https at 10.0.0.2:53, [::1]:53"


def test_kubernetes(tmp_path: Path) -> None:
    [pod] = made(tmp_path, 'discover = { kind = "kubernetes", service = "c" }')
    keys = (
        'kind = "kubernetes", service = "c", namespace = "n", port = "web", scheme = "https", kubeconfig = "admin.conf"'
    )
    [elsewhere] = made(tmp_path, f"discover = {{ {keys} }}")
    assert isinstance(pod.source, KubernetesSource)
    assert pod.source.where == "own namespace/c, http, its only port, by the pod's account"
    assert elsewhere.source.where == f"n/c, https, port web, by {tmp_path}/admin.conf"


def test_a_kubeconfig_without_the_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", None)
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio.client", None)
    monkeypatch.delitem(sys.modules, "lbproxy.control.kubernetes.kubeconfig", raising=False)
    with pytest.raises(MissingExtraError, match=r"install lbproxy\[kubernetes\]"):
        made(tmp_path, 'discover = { kind = "kubernetes", service = "c", kubeconfig = "admin.conf" }')


def test_backends_that_are_expanded(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        """backends = [{ name = "a", url = "http://a" }, { name = "b", url = "http://b:1", expand = true, weight = 3 }]
        discover = { kind = "file", path = "b.json" }""",
    )
    assert [one.source.name for one in found] == ["expand:b", "file-list"]
    assert found[0].source.where == "http://b:1"


async def test_etcd(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text(f'{FILE}discover = {{ kind = "etcd" }}\n[fleet]\nname = "eu"\netcd = ["http://e:2379"]')
    config = load(path, {})
    assert config.fleet is not None
    etcd = connect(config.fleet)

    async def left(pool: str) -> dict[str, int]:
        return {}

    pool = build_pool("p", config.pools["p"], config)
    [found] = make_discoveries(pool, config.pools["p"], Registry(etcd, config.fleet, left))
    assert isinstance(found.source, EtcdSource)
    assert found.source.where == "/lbproxy/eu/pools/p/connectors/"
    await etcd.close()


def test_what_nobody_uses_is_not_loaded() -> None:
    code = (
        "import sys, lbproxy.process.generation.control_plane;"
        "print({'dns', 'kubernetes_asyncio', 'lbproxy.control.kubernetes'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
