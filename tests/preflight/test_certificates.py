from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lbproxy.preflight import Report
from lbproxy.preflight.certificates import inspect_bundle, inspect_pair
from tests.pki import DAY, HOUR, Authority, foreign_text, unreadable, write_bundle

ROOT = Authority.root("root")
USERS = ROOT.intermediate("users")
OLD = Authority.root("old", starts=-3 * DAY, ends=-2 * DAY)


def texts(report: Report) -> tuple[list[str], list[str]]:
    return [str(problem) for problem in report.problems], [str(warning) for warning in report.warnings]


def test_a_pair_that_fits(report: Report, tmp_path: Path) -> None:
    holder = USERS.issue("login", dns=["login.corp.example"], ends=30 * DAY)
    files = holder.write(tmp_path, "login")
    assert inspect_pair(report, "a", files.chain, files.key) == holder.certificate
    assert [(expiry.where, expiry.what) for expiry in report.expiries] == [
        ("a.certificate", "certificate of login"),
        ("a.certificate", "certificate of users"),
    ]
    assert texts(report) == ([], [])


def test_a_pair_that_is_not_there(report: Report, tmp_path: Path) -> None:
    assert inspect_pair(report, "a", tmp_path / "a.pem", tmp_path / "a.key") is None
    assert texts(report)[0] == [
        f"a.certificate: {tmp_path}/a.pem: No such file or directory",
        f"a.key: {tmp_path}/a.key: No such file or directory",
    ]


def test_a_key_of_another_certificate(report: Report, tmp_path: Path) -> None:
    one, other = (ROOT.server("login.corp.example", ends=30 * DAY).write(tmp_path, name) for name in ("one", "other"))
    inspect_pair(report, "a", one.chain, other.key)
    assert texts(report)[0] == [f"a.key: {other.key} is not the key of the first certificate in {one.chain}"]


@pytest.mark.parametrize(("starts", "ends"), [(-2 * DAY, -DAY), (DAY, 2 * DAY)])
def test_a_certificate_that_is_not_valid_now_is_a_problem(
    starts: timedelta, ends: timedelta, report: Report, tmp_path: Path
) -> None:
    files = ROOT.issue("login", starts=starts, ends=ends).write(tmp_path)
    inspect_pair(report, "a", files.chain, files.key)
    (problem,) = texts(report)[0]
    assert problem.startswith("a.certificate: the certificate of login ")


def test_a_bundle_may_hold_what_has_expired(report: Report, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "ca.pem", OLD, ROOT)
    assert inspect_bundle(report, "a.ca", bundle) == [ROOT.certificate]
    expired = OLD.certificate.not_valid_after_utc
    assert texts(report) == (
        [],
        [f"a.ca: the certificate of old expired on {expired:%Y-%m-%d}; it vouches for nobody"],
    )
    assert [expiry.what for expiry in report.expiries] == ["certificate of old", "certificate of root"]


def test_a_bundle_is_useless_when_all_of_it_has_expired(report: Report, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "ca.pem", OLD)
    assert inspect_bundle(report, "a.ca", bundle) == []
    assert texts(report)[0] == [f"a.ca: no certificate in {bundle} is valid now"]


@pytest.mark.parametrize("content", [b"", b"junk"])
def test_a_bundle_without_certificates(content: bytes, report: Report, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    assert inspect_bundle(report, "a.ca", tmp_path / "ca.pem") == []
    assert texts(report)[0] == [f"a.ca: {tmp_path}/ca.pem holds no usable PEM certificate"]


def test_a_bundle_that_cannot_be_understood(report: Report, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(unreadable("name constraint"))
    assert inspect_bundle(report, "a.ca", tmp_path / "ca.pem") == []
    [problem] = texts(report)[0]
    assert problem.startswith(
        f"a.ca: {tmp_path}/ca.pem: certificate 1 in it cannot be read: IPAddress name constraints"
    )


def test_a_bundle_that_only_openssl_refuses(report: Report, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(foreign_text())
    inspect_bundle(report, "a.ca", tmp_path / "ca.pem")
    [problem] = texts(report)[0]
    assert problem.startswith(f"a.ca: OpenSSL refuses a certificate in {tmp_path}/ca.pem: ")


def test_what_ends_soon_is_a_warning_and_still_good(report: Report, tmp_path: Path) -> None:
    soon = Authority.root("soon", ends=3 * DAY + HOUR)
    assert inspect_bundle(report, "a.ca", write_bundle(tmp_path / "ca.pem", soon)) == [soon.certificate]
    assert texts(report) == ([], ["a.ca: the certificate of soon expires in 3 days"])
