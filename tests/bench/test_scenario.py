from pathlib import Path

import pytest
from cryptography import x509

from bench.load.backends import Backends
from bench.load.certificate import Certificate
from bench.load.peers import PEERS
from bench.load.rounds import Plan, site_of
from bench.load.run import about, fitted, ports_of, steps
from bench.load.scenario import TABLE
from bench.load.verify import client_context
from bench.processes import free_ports


def test_ports_are_different() -> None:
    assert len(set(free_ports(200))) == 200


@pytest.mark.parametrize(
    ("name", "active", "open_"), [("browser", 64, 64), ("connections-1", 1, 1), ("idle-10000", 64, 10_064)]
)
def test_a_scenario_may_have_connections_of_its_own(name: str, active: int, open_: int, tmp_path: Path) -> None:
    files = Certificate(*(tmp_path / name for name in "abcdefg"))
    site = site_of("nginx", TABLE[name], Plan(1, 1, 64).active(TABLE[name]), range(1000), files, tmp_path)
    assert (site.active, site.connections) == (active, open_)


def test_a_site_has_the_scenarios_backends(tmp_path: Path) -> None:
    files = Certificate(*(tmp_path / name for name in "abcdefg"))
    for name, count in (("browser", 3), ("backends-100", 100)):
        assert site_of("nginx", TABLE[name], 64, range(1000), files, tmp_path).backends == tuple(range(count))


@pytest.mark.parametrize(("limit", "idle"), [(1_000_000, 10_000), (20_000, 9_200), (4_000, 1_700)])
def test_there_are_as_many_idle_connections_as_fit(monkeypatch: pytest.MonkeyPatch, limit: int, idle: int) -> None:
    monkeypatch.setattr("bench.load.run.allow_descriptors", lambda count, least: min(limit, count))
    plan, rows = Plan(1, 1, 64), [TABLE["browser"], TABLE["idle-10000"]]
    browser, quiet = fitted(rows, plan)
    assert browser is rows[0]
    assert quiet.idle == idle
    told = [value for key, value in about([], [browser, quiet], plan).items() if key.startswith("idle connections")]
    assert told == ([] if idle == 10_000 else [{"idle-10000": idle}])


def test_what_a_proxy_lacks_is_not_counted_as_a_step() -> None:
    caddy, haproxy = PEERS["caddy"], PEERS["haproxy"]
    assert caddy.lacks(TABLE["tcp-1m"])
    assert steps([caddy, haproxy], [TABLE["browser"], TABLE["tcp-1m"]], Plan(2, 1, 64)) == 9


def test_lbproxy_is_measured_once_more_beside_what_has_more_of_something() -> None:
    lbproxy, nginx = PEERS["lbproxy"], PEERS["nginx"]
    assert steps([lbproxy, nginx], [TABLE["backends-1000"]], Plan(2, 1, 64)) == 9
    assert steps([lbproxy, nginx], [TABLE["tls"]], Plan(2, 1, 64)) == 6


def test_the_users_certificate_is_signed_by_the_users_ca(tmp_path: Path) -> None:
    made = Certificate.write(tmp_path)
    user, ca = (x509.load_pem_x509_certificate(path.read_bytes()) for path in (made.user, made.users_ca))
    user.verify_directly_issued_by(ca)
    client_context(made.user)  # raises if the key is not the certificate's


def test_where_users_bring_tokens_the_safe_peers_are_measured_too() -> None:
    lbproxy, nginx, caddy = PEERS["lbproxy"], PEERS["nginx"], PEERS["caddy"]
    assert steps([lbproxy, nginx, caddy], [TABLE["login"]], Plan(2, 1, 64)) == 12
    assert steps([lbproxy, nginx, caddy], [TABLE["tls"]], Plan(2, 1, 64)) == 9


@pytest.mark.parametrize(
    ("name", "scenario", "keeps_apart"),
    [
        ("lbproxy", "tokens", True),
        ("haproxy-safe", "login", True),
        ("haproxy", "login", False),
        ("lbproxy", "tls", False),
    ],
)
def test_what_keeps_users_apart_is_held_to_it(name: str, scenario: str, keeps_apart: bool, tmp_path: Path) -> None:
    files = Certificate(*(tmp_path / name for name in "abcdefg"))
    assert site_of(name, TABLE[scenario], 64, range(1000), files, tmp_path).keeps_apart is keeps_apart


@pytest.mark.parametrize(
    ("scenario", "name", "over_tls"),
    [("minted", "lbproxy", True), ("minted", "nginx", False), ("tls-client", "lbproxy", False)],
)
def test_only_lbproxy_has_minted_certificates_to_show_to_backends(scenario: str, name: str, over_tls: bool) -> None:
    backends = object.__new__(Backends)  # without its servers
    backends.ports, backends.tls_ports = (1, 2), (3,)
    assert ports_of(backends, TABLE[scenario], name) == ((3,) if over_tls else (1, 2))
