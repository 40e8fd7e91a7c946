from __future__ import annotations

from datetime import timedelta

import pytest

from lbproxy.preflight import Expiry, Report
from tests.pki import DAY, HOUR, Authority

ROOT = Authority.root("users")
CERTIFICATE = ROOT.issue("alice", starts=-DAY, ends=30 * DAY).certificate
EXPIRES = CERTIFICATE.not_valid_after_utc
LATE = timedelta(seconds=1)


def test_takes_down_when_a_certificate_ends() -> None:
    report = Report(EXPIRES - 20 * DAY)
    assert report.certificate("a.b", CERTIFICATE) is None
    assert report.expiries == [Expiry("a.b", "certificate of alice", EXPIRES, 20 * DAY)]
    assert report.problems == report.warnings == []


def test_a_certificate_that_is_of_no_use() -> None:
    report = Report(EXPIRES + LATE)
    assert report.certificate("a.b", CERTIFICATE) == f"the certificate of alice expired on {EXPIRES:%Y-%m-%d}"
    assert report.expiries == [Expiry("a.b", "certificate of alice", EXPIRES, -LATE)]
    begins = CERTIFICATE.not_valid_before_utc
    fault = Report(begins - LATE).certificate("a.b", CERTIFICATE)
    assert fault == f"the certificate of alice is not valid before {begins:%Y-%m-%d}"


def test_nothing_prevents_a_start_that_is_not_used() -> None:
    report = Report(EXPIRES - 20 * DAY)
    report.of_unused().problem("a.b", "is broken")
    report.of_unused().warning("a.c", "is doubtful")
    report.of_unused().certificate("a.d", CERTIFICATE)
    assert report.problems == []
    assert [str(problem) for problem in report.tolerated] == ["a.b: is broken"]
    assert [str(warning) for warning in report.warnings] == ["a.c: is doubtful"]
    assert [expiry.where for expiry in report.expiries] == ["a.d"]


@pytest.mark.parametrize(("left", "warned"), [(14 * DAY, False), (14 * DAY - HOUR, True), (timedelta(), True)])
def test_what_expires_soon_is_a_warning(left: timedelta, warned: bool) -> None:
    report = Report(EXPIRES - left)
    assert report.certificate("a.b", CERTIFICATE) is None
    texts = [str(warning) for warning in report.warnings]
    assert texts == ([f"a.b: the certificate of alice expires in {left.days} days"] if warned else [])


def test_takes_down_when_a_revocation_list_ends() -> None:
    revocations = ROOT.crl(next_update=30 * DAY)
    ends = revocations.next_update_utc
    assert ends is not None
    report = Report(ends - 20 * DAY)
    assert report.revocation_list("a.b", revocations) is None
    assert report.expiries == [Expiry("a.b", "revocation list of users", ends, 20 * DAY)]
    fault = Report(ends + LATE).revocation_list("a.b", revocations)
    assert fault == f"the revocation list of users expired on {ends:%Y-%m-%d}"
