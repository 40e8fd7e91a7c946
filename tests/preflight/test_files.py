from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from lbproxy.config import Discover, KerberosCheck
from lbproxy.config.models import Base
from lbproxy.preflight import Report
from lbproxy.preflight.files import inspect_kerberos, inspect_kubeconfig, inspect_log, inspect_secret, inspect_socket

KEYTAB = bytes.fromhex(  # MIT's format 5.2, with one AES-256 key of probe@CORP.EXAMPLE
    "0502" "00000043" "0001" "000c434f52502e4558414d504c45" "000570726f6265" "00000001" "00000000" "01" "0012"
    "0020" + "00" * 32
)  # fmt: skip


def problems(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


def kerberos(directory: Path, principal: str = "probe@CORP.EXAMPLE") -> KerberosCheck:
    table = {"principal": principal, "keytab": "probe.keytab", "spn": "HTTP@login.corp.example"}
    return KerberosCheck.model_validate(table, context=Base(directory))


def kubernetes(directory: Path, kubeconfig: str = "admin.conf") -> Discover:
    table = {"kind": "kubernetes", "service": "c", "kubeconfig": kubeconfig}
    return Discover.model_validate(table, context=Base(directory))


def test_a_keytab_with_the_principals_key(report: Report, tmp_path: Path) -> None:
    (tmp_path / "probe.keytab").write_bytes(KEYTAB)
    inspect_kerberos(report, "a.kerberos", kerberos(tmp_path))
    assert problems(report) == []


def test_a_keytab_without_it(report: Report, tmp_path: Path) -> None:
    (tmp_path / "probe.keytab").write_bytes(KEYTAB)
    inspect_kerberos(report, "a.kerberos", kerberos(tmp_path, "other@CORP.EXAMPLE"))
    assert problems(report) == [
        f"a.kerberos.keytab: {tmp_path}/probe.keytab: No key table entry found for other@CORP.EXAMPLE"
    ]


def test_a_keytab_that_is_not_there(report: Report, tmp_path: Path) -> None:
    inspect_kerberos(report, "a.kerberos", kerberos(tmp_path))
    path = tmp_path / "probe.keytab"
    assert problems(report) == [f"a.kerberos.keytab: {path}: No such file or directory"]


def test_a_kerberos_check_without_gssapi(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    for name in ("credentials", "sign_in", "gss"):  # whatever has imported them before
        monkeypatch.delitem(sys.modules, f"lbproxy.control.probes.kerberos.{name}", raising=False)
    inspect_kerberos(report, "a.kerberos", kerberos(tmp_path))
    assert problems(report) == ["a.kerberos: a Kerberos check needs an optional part: install lbproxy[kerberos]"]


def test_a_log_that_can_be_made_is_not(report: Report, tmp_path: Path) -> None:
    inspect_log(report, "a", tmp_path / "access.log")
    assert problems(report) == []
    assert list(tmp_path.iterdir()) == []


def test_the_directory_of_the_log_must_exist(report: Report, tmp_path: Path) -> None:
    inspect_log(report, "a", tmp_path / "log" / "access.log")
    assert problems(report) == [f"a: {tmp_path}/log is not a directory"]


def test_the_log_must_not_be_a_directory(report: Report, tmp_path: Path) -> None:
    inspect_log(report, "a", tmp_path)
    assert problems(report) == [f"a: {tmp_path} is a directory"]


def test_a_listener_without_a_socket_file(report: Report) -> None:
    inspect_socket(report, "a", None)
    assert problems(report) == []


def test_a_socket_that_was_left_behind_is_replaced(report: Report, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "admin.sock"))
        inspect_socket(report, "a", tmp_path / "admin.sock")
    inspect_socket(report, "a", tmp_path / "run" / "that" / "is" / "made" / "admin.sock")
    assert problems(report) == []
    assert [path.name for path in tmp_path.iterdir()] == ["admin.sock"]


def test_a_socket_where_a_file_is(report: Report, tmp_path: Path) -> None:
    (tmp_path / "admin.sock").touch()
    inspect_socket(report, "a", tmp_path / "admin.sock")
    assert problems(report) == [f"a: {tmp_path}/admin.sock exists and is not a socket"]


def test_a_socket_below_a_file(report: Report, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    inspect_socket(report, "a", tmp_path / "run" / "admin.sock")
    assert problems(report) == [f"a: {tmp_path}/run is not a directory"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written(report: Report, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o555)
    (tmp_path / "access.log").touch(mode=0o444)
    inspect_socket(report, "a", tmp_path / "run" / "admin.sock")
    inspect_log(report, "b", tmp_path / "access.log")
    assert problems(report) == [
        f"a: the directory {tmp_path}/run may not be written",
        f"b: {tmp_path}/access.log may not be written",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_at(report: Report, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0)
    inspect_socket(report, "a", tmp_path / "run" / "admin.sock")
    inspect_log(report, "b", tmp_path / "run" / "access.log")
    assert problems(report) == [
        f"a: {tmp_path}/run/admin.sock: Permission denied",
        f"b: {tmp_path}/run/access.log: Permission denied",
    ]


def test_a_path_that_no_file_can_have(report: Report, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    inspect_socket(report, "a", path)
    inspect_log(report, "b", path)
    assert problems(report) == [f"a: {path}: File name too long", f"b: {path}: File name too long"]


def test_a_kubeconfig(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    inspect_kubeconfig(report, "pool.a.discover", kubernetes(tmp_path))
    inspect_kubeconfig(report, "pool.b.discover", kubernetes(tmp_path, ""))
    assert problems(report) == [f"pool.a.discover.kubeconfig: {path}: No such file or directory"]
    path.touch()
    inspect_kubeconfig(report, "pool.a.discover", kubernetes(tmp_path))
    assert len(problems(report)) == 1


def test_a_kubeconfig_without_the_library(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.preflight.files.find_spec", lambda name: None)
    inspect_kubeconfig(report, "pool.a.discover", kubernetes(tmp_path))
    assert problems(report) == [
        "pool.a.discover.kubeconfig: kubeconfig needs an optional part: install lbproxy[kubernetes]"
    ]


@pytest.mark.parametrize(("length", "mode", "problem"), [(31, 0o600, True), (32, 0o640, False), (64, 0o604, False)])
def test_a_secret_is_long_enough_and_its_own(
    report: Report, tmp_path: Path, length: int, mode: int, problem: bool
) -> None:
    path = tmp_path / "fleet.secret"
    path.write_bytes(b"x" * length)
    path.chmod(mode)
    inspect_secret(report, "fleet.secret_file", path)
    expected = [f"fleet.secret_file: {path} has {length} bytes; a secret has at least 32"] if problem else []
    assert problems(report) == expected
    assert any("open to every account" in one.text for one in report.warnings) is (mode == 0o604)


def test_a_secret_that_is_not_there(report: Report, tmp_path: Path) -> None:
    inspect_secret(report, "fleet.secret_file", tmp_path / "none")
    assert problems(report) == [f"fleet.secret_file: {tmp_path}/none: No such file or directory"]
