from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from lbproxy.config import load
from lbproxy.process.preflight import Report, inspect

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "unix:run/login.sock"
pool = "connectors"
[listener.login.tls]
certificate = "login.pem"
key = "login.key"
[pool.connectors]
backends = [{ name = "c1", url = "https://10.0.0.11:4000" }]
[pool.connectors.tls]
ca = "ca.pem"
[access_log]
path = "access.log"
[admin]
bind = "unix:run/admin.sock"
"""

CA = trustme.CA()
LEAF = CA.issue_cert("login.corp.example", common_name="login")
LEAF_CERTIFICATE = x509.load_pem_x509_certificate(LEAF.cert_chain_pems[0].bytes())
CA_CERTIFICATE = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
EXPIRES = LEAF_CERTIFICATE.not_valid_after_utc
NOW = datetime.now(UTC)

Inspect = Callable[..., Report]


@pytest.fixture
def inspect_file(tmp_path: Path) -> Inspect:
    """Inspects FILE, changed by `replace`, beside files that are all sound unless a test changes them before."""
    (tmp_path / "login.pem").write_bytes(LEAF.cert_chain_pems[0].bytes())
    (tmp_path / "login.key").write_bytes(LEAF.private_key_pem.bytes())
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem.bytes())

    def inspect_it(old: str = "", new: str = "", now: datetime = NOW) -> Report:
        path = tmp_path / "lbproxy.toml"
        path.write_text(FILE.replace(old, new) if old else FILE)
        return inspect(load(path, {}), now)

    return inspect_it


def problems(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


def warnings(report: Report) -> list[str]:
    return [str(warning) for warning in report.warnings]


def test_a_sound_configuration(inspect_file: Inspect, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    report = inspect_file()
    assert (problems(report), warnings(report)) == ([], [])
    assert [(found.where, found.expires) for found in report.certificates] == [
        ("listener.login.tls.certificate", EXPIRES),
        ("pool.connectors.tls.ca", CA_CERTIFICATE.not_valid_after_utc),
    ]
    assert report.certificates[0].subject == "login"
    assert report.certificates[0].left == EXPIRES - NOW
    assert sorted({*tmp_path.iterdir()} - {tmp_path / "lbproxy.toml"}) == before, "nothing is created"


def test_missing_files_are_all_reported(inspect_file: Inspect, tmp_path: Path) -> None:
    for name in ("login.pem", "login.key", "ca.pem"):
        (tmp_path / name).unlink()
    assert problems(inspect_file()) == [
        f"listener.login.tls.certificate: {tmp_path}/login.pem: No such file or directory",
        f"listener.login.tls.key: {tmp_path}/login.key: No such file or directory",
        f"pool.connectors.tls.ca: {tmp_path}/ca.pem: No such file or directory",
    ]


def test_a_key_of_another_certificate(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "login.key").write_bytes(CA.issue_cert("x.example").private_key_pem.bytes())
    assert problems(inspect_file()) == [
        f"listener.login.tls.key: {tmp_path}/login.key is not the key of the first certificate in {tmp_path}/login.pem"
    ]


def test_an_expired_certificate_is_a_problem(inspect_file: Inspect) -> None:
    report = inspect_file(now=EXPIRES + timedelta(seconds=1))
    where = "listener.login.tls.certificate"
    assert f"{where}: the certificate of login expired on {EXPIRES:%Y-%m-%d}" in problems(report)
    assert report.certificates[0].left < timedelta()


def test_a_certificate_of_the_future_is_a_problem(inspect_file: Inspect) -> None:
    begins = LEAF_CERTIFICATE.not_valid_before_utc
    report = inspect_file(now=begins - timedelta(seconds=1))
    where = "listener.login.tls.certificate"
    assert f"{where}: the certificate of login is not valid before {begins:%Y-%m-%d}" in problems(report)


@pytest.mark.parametrize(("left", "warned"), [(timedelta(days=14), False), (timedelta(days=13, hours=23), True)])
def test_a_certificate_that_expires_soon_is_a_warning(left: timedelta, warned: bool, inspect_file: Inspect) -> None:
    report = inspect_file(now=EXPIRES - left)
    assert problems(report) == []
    text = "listener.login.tls.certificate: the certificate of login expires in 13 days"
    assert (text in warnings(report)) is warned


def test_a_bundle_is_useless_when_all_of_it_has_expired(inspect_file: Inspect, tmp_path: Path) -> None:
    old = trustme.CA().issue_cert("old.example", not_after=NOW - timedelta(days=1), not_before=NOW - timedelta(days=2))
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(old.cert_chain_pems[0].bytes())
    assert problems(inspect_file()) == [f"pool.connectors.tls.ca: every certificate in {bundle} has expired"]
    bundle.write_bytes(old.cert_chain_pems[0].bytes() + CA.cert_pem.bytes())
    assert problems(inspect_file()) == []


def test_a_certificate_for_another_host_is_a_warning(inspect_file: Inspect) -> None:
    report = inspect_file("login.corp.example", "sso.corp.example")
    assert problems(report) == []
    assert warnings(report) == [
        "listener.login.tls.certificate: the certificate of login is not for sso.corp.example (server_url)"
    ]


def test_a_listener_that_does_not_serve_server_url_may_have_any_certificate(inspect_file: Inspect) -> None:
    report = inspect_file(
        'server_url = "https://login.corp.example"\n[listener.login]',
        'server_url = "https://sso.corp.example"\n[listener.login]\nhosts = ["login.corp.example"]',
    )
    assert warnings(report) == []


def test_backends_that_need_prove_nothing_are_a_warning(inspect_file: Inspect) -> None:
    assert warnings(inspect_file('ca = "ca.pem"', "verify = false")) == [
        "pool.connectors.tls.verify: whoever answers at a backend's address is believed"
    ]


KERBEROS = """[pool.connectors.check]
kind = "kerberos"
kerberos = { principal = "probe@CORP.EXAMPLE", keytab = "probe.keytab", spn = "HTTP@login.corp.example" }
[access_log]"""

KEYTAB = bytes.fromhex(  # MIT's format 5.2, with one AES-256 key of probe@CORP.EXAMPLE
    "0502" "00000043" "0001" "000c434f52502e4558414d504c45" "000570726f6265" "00000001" "00000000" "01" "0012"
    "0020" + "00" * 32
)  # fmt: skip


def test_a_keytab_with_the_principals_key(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "probe.keytab").write_bytes(KEYTAB)
    assert problems(inspect_file("[access_log]", KERBEROS)) == []


def test_a_keytab_without_it(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "probe.keytab").write_bytes(KEYTAB)
    assert problems(inspect_file("[access_log]", KERBEROS.replace("probe@", "other@"))) == [
        f"pool.connectors.check.kerberos.keytab: {tmp_path}/probe.keytab: "
        "No key table entry found for other@CORP.EXAMPLE"
    ]


def test_a_keytab_that_is_not_there(inspect_file: Inspect, tmp_path: Path) -> None:
    assert problems(inspect_file("[access_log]", KERBEROS)) == [
        f"pool.connectors.check.kerberos.keytab: {tmp_path}/probe.keytab: "
        f"Key table file '{tmp_path}/probe.keytab' not found"
    ]


def test_a_kerberos_check_without_gssapi(inspect_file: Inspect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.delitem(sys.modules, "lbproxy.control.probes.kerberos.credentials", raising=False)
    assert problems(inspect_file("[access_log]", KERBEROS)) == [
        "pool.connectors.check.kind: a Kerberos check needs an optional part: install lbproxy[kerberos]"
    ]


def test_the_directory_of_the_log_must_exist(inspect_file: Inspect, tmp_path: Path) -> None:
    assert problems(inspect_file("access.log", "log/access.log")) == [
        f"access_log.path: {tmp_path}/log is not a directory"
    ]


def test_the_log_must_not_be_a_directory(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "access.log").mkdir()
    assert problems(inspect_file()) == [f"access_log.path: {tmp_path}/access.log is a directory"]


@pytest.mark.parametrize("path", ["-", ""])
def test_a_log_that_is_no_file(path: str, inspect_file: Inspect) -> None:
    assert problems(inspect_file("access.log", path)) == []


def test_a_socket_where_a_file_is(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "login.sock").touch()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "run" / "admin.sock"))
        assert problems(inspect_file()) == [
            f"listener.login.bind: {tmp_path}/run/login.sock exists and is not a socket"
        ]


def test_a_socket_below_a_file(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    assert problems(inspect_file()) == [
        f"listener.login.bind: {tmp_path}/run is not a directory",
        f"admin.bind: {tmp_path}/run is not a directory",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directories_that_may_not_be_written(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o555)
    (tmp_path / "access.log").touch(mode=0o444)
    assert problems(inspect_file()) == [
        f"listener.login.bind: the directory {tmp_path}/run may not be written",
        f"access_log.path: {tmp_path}/access.log may not be written",
        f"admin.bind: the directory {tmp_path}/run may not be written",
    ]


def test_where_is_written_as_toml_wants_it(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "login.key").unlink()
    assert problems(inspect_file("listener.login", 'listener."log.in"')) == [
        f'listener."log.in".tls.key: {tmp_path}/login.key: No such file or directory'
    ]
