from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Address, Discover, Pool


def discover(pool: Callable[[str], Pool], lines: str) -> Discover:
    found = pool(f"[pool.connectors.discover]\n{lines}").discover
    assert found is not None
    return found


def test_its_defaults(pool: Callable[[str], Pool], tmp_path: Path) -> None:
    found = discover(pool, 'kind = "file"\npath = "backends.json"')
    assert (found.interval, found.on_empty, found.empty_after) == (30.0, "keep", 30.0)
    assert found.path == tmp_path / "backends.json"
    assert pool("").discover is None


@pytest.mark.parametrize("name", ["c", "c.test", "c.test.", "_login._tcp.c.test", "a." * 100 + "test"])
def test_names(name: str, pool: Callable[[str], Pool]) -> None:
    found = discover(pool, f'kind = "dns"\nname = "{name}"\nport = 4000')
    assert (found.name, found.port, found.scheme, found.record, found.nameservers) == (
        name,
        4000,
        "http",
        "address",
        (),
    )


def test_nameservers(pool: Callable[[str], Pool]) -> None:
    servers = '["10.0.0.2", "127.0.0.1:5353", "2001:db8::1", "[2001:db8::1]:54", "ns.test", "ns.test:54"]'
    found = discover(pool, f'kind = "dns"\nname = "c.test"\nport = 1\nnameservers = {servers}')
    assert found.nameservers == (
        Address("10.0.0.2", 53),
        Address("127.0.0.1", 5353),
        Address("2001:db8::1", 53),
        Address("2001:db8::1", 54),
        Address("ns.test", 53),
        Address("ns.test", 54),
    )


def test_a_service_of_kubernetes(pool: Callable[[str], Pool], tmp_path: Path) -> None:
    found = discover(
        pool, 'kind = "kubernetes"\nservice = "c"\nport = "http"\nkubeconfig = "admin.conf"\nnamespace = "n"'
    )
    assert (found.service, found.port, found.namespace) == ("c", "http", "n")
    assert found.kubeconfig == tmp_path / "admin.conf"
    found = discover(pool, 'kind = "kubernetes"\nservice = "c"\nkubeconfig = ""')
    assert (found.namespace, found.port, found.kubeconfig) == (None, None, None)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('kind = "consul"', "kind: must be 'dns', 'file', 'etcd' or 'kubernetes'"),
        ('kind = "file"\npath = 1', "path: must be the path of a file"),
        ('kind = "dns"\nport = 1\nname = "a..b"', "name: 'a..b' is not a DNS name such as"),
        ('kind = "dns"\nport = 1\nname = ""', "name: '' is not a DNS name"),
        ('kind = "dns"\nname = "a"\nport = 0', "port: must be at least 1"),
        ('kind = "dns"\nname = "a"\nport = 65536', "port: must be at most 65535"),
        ('kind = "dns"\nname = "a"\nport = true', "port: must be a whole number, or the name of a port such as http"),
        ('kind = "kubernetes"\nservice = "a"\nport = ""', "port: must be a whole number, or the name of a port"),
        ('kind = "kubernetes"\nservice = "a"\nport = "80"', "port: must be a whole number, or the name of a port"),
        ('kind = "kubernetes"\nservice = "a/b"', "service: 'a/b' is not a name in Kubernetes: small letters"),
        ('kind = "kubernetes"\nservice = "a"\nnamespace = "A"', "namespace: 'A' is not a name in Kubernetes"),
        ('kind = "kubernetes"\nservice = "a"\nkubeconfig = 1', "kubeconfig: must be the path of a file"),
        ('kind = "dns"\nname = "a"\nport = 1\nrecord = "mx"', "record: must be 'address' or 'srv'"),
        ('kind = "dns"\nname = "a"\nport = 1\nnameservers = ["a b"]', "nameservers[0]: 'a b' is not a host"),
        ('kind = "dns"\nname = "a"\nport = 1\nnameservers = ["a:0"]', "nameservers[0]: 'a:0' has no usable port"),
        ('kind = "dns"\nname = "a"\nport = 1\nnameservers = ["unix:/x"]', "nameservers[0]: 'unix:/x' is not an"),
        ('kind = "dns"\nname = "a"\nport = 1\nnameservers = [1]', "nameservers[0]: must be a string"),
        ('kind = "dns"\nname = "a"\nport = 1\non_empty = "drop"', "on_empty: must be 'keep' or 'accept'"),
        ('kind = "dns"\nname = "a"\nport = 1\ninterval = "0s"', "interval: must be more than 0"),
        ('kind = "dns"\nname = "a"\nport = 1\nscheme = "ftp"', "scheme: must be 'http', 'https' or 'tcp'"),
    ],
)
def test_impossible_ones(lines: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    [found] = problems_of_pool(f"[pool.connectors.discover]\n{lines}")
    assert found.startswith(f"pool.connectors.discover.{problem}")
