from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Config, KerberosCheck, Pool


@pytest.mark.parametrize(
    ("expect", "statuses"),
    [("[200]", {200}), ('["200-203", 401]', {200, 201, 202, 203, 401}), ('["599-599"]', {599})],
)
def test_expected_statuses(expect: str, statuses: set[int], pool: Callable[[str], Pool]) -> None:
    assert pool(f"check.expect = {expect}").check.expect == statuses


NO_SUBJECT = 'is not the subject of a certificate, such as "CN=lbproxy probe,O=Corp" (RFC 4514)'
NO_STATUS = 'is not a status such as 401 or a range such as "200-299"'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('url = "/healthz"', "url: '/healthz' is not a URL that begins with http:// or https:// and names a host"),
        ('method = "GET /"', "method: 'GET /' is not an HTTP token (RFC 9110 section 5.6.2)"),
        ('path = "healthz"', "path: 'healthz' is not a path that begins with /"),
        ("expect = []", 'expect: must be a list of statuses such as [200, "300-399"]'),
        ('expect = ["299-200"]', f"expect: '299-200' {NO_STATUS}"),
        ("expect = [99]", f"expect: 99 {NO_STATUS}"),
        ('timeout = "0s"', "timeout: must be more than 0"),
        ('identity = "lbproxy"', f"identity: 'lbproxy' {NO_SUBJECT}"),
        ('identity = ""', f"identity: '' {NO_SUBJECT}"),
        ('kind = "ping"', "kind: must be 'none', 'tcp', 'tls', 'http' or 'kerberos'"),
    ],
)
def test_impossible_checks(line: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    assert problems_of_pool(f"check.{line}") == [f"pool.connectors.check.{problem}"]


KERBEROS = "pool.connectors.check.kerberos"
NO_PRINCIPAL = "is not a principal with its realm, such as svc-probe@CORP.EXAMPLE"
NO_SPN = "is not a service and its host, such as HTTP@login.corp.example"


def kerberos(principal: str = "probe@CORP.EXAMPLE", spn: str = "HTTP@login.corp.example") -> str:
    return f"""
[pool.connectors.check]
kind = "kerberos"
kerberos = {{ principal = "{principal}", keytab = "probe.keytab", spn = "{spn}" }}
"""


def test_a_kerberos_check(load_text: Callable[[str], Config], sound: str, tmp_path: Path) -> None:
    check = load_text(sound + kerberos(spn="HTTP@Login.Corp.Example")).pools["connectors"].check
    assert check.kerberos == KerberosCheck.model_construct(
        principal="probe@CORP.EXAMPLE", keytab=tmp_path / "probe.keytab", spn="HTTP@login.corp.example"
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            kerberos(principal="svc-probe"),
            f"{KERBEROS}.principal: 'svc-probe' {NO_PRINCIPAL}",
        ),
        (kerberos(principal="a@b@C"), f"{KERBEROS}.principal: 'a@b@C' {NO_PRINCIPAL}"),
        (kerberos(spn="HTTP/login.corp.example"), f"{KERBEROS}.spn: 'HTTP/login.corp.example' {NO_SPN}"),
        (kerberos(spn="@login.corp.example"), f"{KERBEROS}.spn: '@login.corp.example' {NO_SPN}"),
        (
            kerberos(spn="HTTP@login.corp.example:443"),
            f"{KERBEROS}.spn: 'login.corp.example:443' is not a host: "
            "a name, an IPv4 address or a [v6] one, without a port",
        ),
        (kerberos().replace('keytab = "probe.keytab", ', ""), f"{KERBEROS}.keytab: missing"),
    ],
)
def test_impossible_kerberos_checks(table: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    assert problems_of_pool(table) == [problem]
