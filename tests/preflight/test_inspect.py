from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from lbproxy.auth.certificate import tolerant_of_names
from lbproxy.config import load
from lbproxy.preflight import Report, inspect
from tests.pki import DAY, Authority, write_bundle, write_crls

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

CA = Authority.root("connectors")
USERS = Authority.root("users")
LOGIN = CA.server("login.corp.example", ends=30 * DAY)
SSO = CA.server("sso.corp.example", ends=30 * DAY)

Inspect = Callable[..., Report]


@pytest.fixture
def inspect_file(tmp_path: Path) -> Inspect:
    """Inspects FILE, changed by `replace`, beside files that are all sound unless a test changes them before."""
    LOGIN.write(tmp_path, "login")
    SSO.write(tmp_path, "sso")
    CA.write_certificate(tmp_path / "ca.pem")

    def inspect_it(old: str = "", new: str = "") -> Report:
        path = tmp_path / "lbproxy.toml"
        path.write_text(FILE.replace(old, new) if old else FILE)
        return inspect(load(path, {}), datetime.now(UTC))

    return inspect_it


def problems(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


def warnings(report: Report) -> list[str]:
    return [str(warning) for warning in report.warnings]


def test_a_sound_configuration(inspect_file: Inspect, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    report = inspect_file()
    assert (problems(report), warnings(report)) == ([], [])
    assert [(found.where, found.expires) for found in report.expiries] == [
        ("listener.login.tls.certificate", LOGIN.certificate.not_valid_after_utc),
        ("pool.connectors.tls.ca", CA.certificate.not_valid_after_utc),
    ]
    assert sorted({*tmp_path.iterdir()} - {tmp_path / "lbproxy.toml"}) == before, "nothing is created"


def test_files_are_opened_by_whom_lbproxy_becomes(tmp_path: Path) -> None:
    """Sockets are judged before that."""
    (tmp_path / "run").touch()
    path = tmp_path / "lbproxy.toml"
    path.write_text(FILE)
    seen: list[list[str]] = []
    report = inspect(load(path, {}), datetime.now(UTC), lambda report: seen.append(problems(report)))
    assert len(seen[0]) == 2
    assert all(text.endswith("run is not a directory") for text in seen[0])
    assert len(problems(report)) == 5


def test_everything_that_is_missing_is_reported_at_once(inspect_file: Inspect, tmp_path: Path) -> None:
    for name in ("login.pem", "login.key", "ca.pem"):
        (tmp_path / name).unlink()
    (tmp_path / "run").touch()
    (tmp_path / "access.log").mkdir()
    assert problems(inspect_file()) == [
        f"listener.login.bind: {tmp_path}/run is not a directory",
        f"admin.bind: {tmp_path}/run is not a directory",
        f"listener.login.tls.certificate: {tmp_path}/login.pem: No such file or directory",
        f"listener.login.tls.key: {tmp_path}/login.key: No such file or directory",
        f"pool.connectors.tls.ca: {tmp_path}/ca.pem: No such file or directory",
        f"access_log.path: {tmp_path}/access.log is a directory",
    ]


@pytest.mark.parametrize("path", ["-", ""])
def test_a_log_that_is_no_file(path: str, inspect_file: Inspect) -> None:
    assert problems(inspect_file("access.log", path)) == []


def test_a_certificate_for_another_host_is_a_warning(inspect_file: Inspect) -> None:
    report = inspect_file("login.corp.example", "other.corp.example")
    assert problems(report) == []
    assert warnings(report) == [
        "listener.login.tls.certificate: the certificate of login.corp.example is not for other.corp.example "
        "(server_url)"
    ]


def test_a_listener_that_does_not_serve_server_url_may_have_any_certificate(inspect_file: Inspect) -> None:
    report = inspect_file(
        'server_url = "https://login.corp.example"\n[listener.login]',
        'server_url = "https://other.corp.example"\n[listener.login]\nhosts = ["login.corp.example"]',
    )
    assert warnings(report) == []


ADDITIONAL = 'key = "login.key"\nadditional = [{ certificate = "sso.pem", key = "sso.key" }]'


def test_an_additional_certificate_may_be_the_one_for_server_url(inspect_file: Inspect, tmp_path: Path) -> None:
    LOGIN.write(tmp_path, "sso")
    SSO.write(tmp_path, "login")
    report = inspect_file('key = "login.key"', ADDITIONAL)
    assert (problems(report), warnings(report)) == ([], [])
    assert report.expiries[1].where == "listener.login.tls.additional[0].certificate"


def test_an_additional_certificate_is_chosen_by_name(inspect_file: Inspect, tmp_path: Path) -> None:
    CA.issue("nameless", ends=30 * DAY).write(tmp_path, "sso")
    assert warnings(inspect_file('key = "login.key"', ADDITIONAL)) == [
        "listener.login.tls.additional[0].certificate: the certificate of nameless has no DNS name to ask for"
    ]


def test_an_additional_pair_that_does_not_fit(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "sso.key").write_bytes(LOGIN.key_pem)
    assert problems(inspect_file('key = "login.key"', ADDITIONAL)) == [
        f"listener.login.tls.additional[0].key: {tmp_path}/sso.key is not the key of the first certificate in "
        f"{tmp_path}/sso.pem"
    ]


def test_what_judges_users_is_looked_at(inspect_file: Inspect, tmp_path: Path) -> None:
    write_bundle(tmp_path / "users.pem", USERS)
    write_crls(tmp_path / "users.crl", USERS.crl(next_update=30 * DAY))
    asked = 'key = "login.key"\nclient_certificate = "required"\nclient_ca = "users.pem"\nclient_crl = ["users.crl"]'
    report = inspect_file('key = "login.key"', asked)
    assert (problems(report), warnings(report)) == ([], [])
    assert [found.where for found in report.expiries[1:3]] == [
        "listener.login.tls.client_ca",
        "listener.login.tls.client_crl[0]",
    ]


def test_a_name_that_is_longer_than_it_may_be(inspect_file: Inspect, tmp_path: Path) -> None:
    """X.520 allows 64 characters, and Python warns of more: an error here, and of no use to an administrator."""
    with tolerant_of_names():
        long = x509.NameAttribute(x509.NameOID.COMMON_NAME, "c" * 65, _validate=False)
        Authority.root(x509.Name([long])).write_certificate(tmp_path / "ca.pem")
    report = inspect_file()
    assert (problems(report), warnings(report)) == ([], [])
    assert report.expiries[-1].what == f"certificate of {'c' * 65}"


def test_backends_that_need_prove_nothing_are_a_warning(inspect_file: Inspect) -> None:
    assert warnings(inspect_file('ca = "ca.pem"', "verify = false")) == [
        "pool.connectors.tls.verify: verify is off: backend certificates are not checked"
    ]


def test_the_certificate_that_backends_see(inspect_file: Inspect, tmp_path: Path) -> None:
    own = 'ca = "ca.pem"\ncertificate = "login.pem"\nkey = "sso.key"'
    assert problems(inspect_file('ca = "ca.pem"', own)) == [
        f"pool.connectors.tls.key: {tmp_path}/sso.key is not the key of the first certificate in {tmp_path}/login.pem"
    ]


def test_keytabs_are_looked_at(inspect_file: Inspect, tmp_path: Path) -> None:
    kerberos = """[pool.connectors.check]
kind = "kerberos"
kerberos = { principal = "probe@CORP.EXAMPLE", keytab = "probe.keytab", spn = "HTTP@login.corp.example" }
[access_log]"""
    assert [problem.where for problem in inspect_file("[access_log]", kerberos).problems] == [
        "pool.connectors.check.kerberos.keytab"
    ]


def test_a_keytab_that_is_not_used_prevents_nothing(inspect_file: Inspect, tmp_path: Path) -> None:
    kerberos = """[pool.connectors.check]
kerberos = { principal = "probe@CORP.EXAMPLE", keytab = "probe.keytab", spn = "HTTP@login.corp.example" }
[access_log]"""
    report = inspect_file("[access_log]", kerberos)
    assert report.problems == []
    assert [warning.where for warning in report.warnings] == ["pool.connectors.check.kerberos"]
    assert [problem.where for problem in report.tolerated] == ["pool.connectors.check.kerberos.keytab"]


def test_where_is_written_as_toml_wants_it(inspect_file: Inspect, tmp_path: Path) -> None:
    (tmp_path / "login.key").unlink()
    assert problems(inspect_file("listener.login", 'listener."log.in"')) == [
        f'listener."log.in".tls.key: {tmp_path}/login.key: No such file or directory'
    ]


MINTING = """
client_certificate = "required"
client_ca = "users.pem"
client_identity = "mint"
mint = { ca_certificate = "mint.pem", ca_key = "mint.key" }
[pool.connectors]
check.identity = "CN=lbproxy probe,O=Other"
"""


def test_the_subject_of_probes_is_one_that_the_mint_may_name(inspect_file: Inspect, tmp_path: Path) -> None:
    """Or connectors that honour the name constraints would all be found down."""
    corp = x509.Name.from_rfc4514_string("O=Corp")
    for authority, expected in (
        (Authority.root("mint", path_length=0), []),
        (
            Authority.root("mint", path_length=0, permitted=[corp]),
            [
                "pool.connectors.check.identity: the name constraints of mint do not permit CN=lbproxy probe,O=Other: "
                "connectors that honour them refuse the probes"
            ],
        ),
    ):
        authority.write_certificate(tmp_path / "mint.pem")
        (tmp_path / "mint.key").write_bytes(authority.key_pem)
        (tmp_path / "mint.key").chmod(0o600)
        USERS.write_certificate(tmp_path / "users.pem")
        assert problems(inspect_file("[pool.connectors]\n", MINTING)) == expected
    assert problems(inspect_file("[pool.connectors]\n", MINTING.replace("check.identity", "# "))) == []


def test_the_files_of_a_fleet(inspect_file: Inspect, tmp_path: Path) -> None:
    fleet = (
        '[fleet]\nname = "eu"\netcd = ["https://e:2379"]\nca = "ca.pem"\ncertificate = "login.pem"\nkey = "sso.key"\n'
    )
    assert problems(inspect_file("[access_log]", f"{fleet}[access_log]")) == [
        f"fleet.key: {tmp_path}/sso.key is not the key of the first certificate in {tmp_path}/login.pem"
    ]
    assert problems(inspect_file("[access_log]", f"{fleet.replace('ca.pem', 'none.pem')}[access_log]"))[0].startswith(
        f"fleet.ca: {tmp_path}/none.pem"
    )


def test_request_ids_need_a_header_of_their_own(inspect_file: Inspect) -> None:
    top = 'server_url = "https://login.corp.example"'
    assert problems(inspect_file(top, f'{top}\nrequest_id = "X-Remote-User"')) == [
        "request_id: X-Remote-User has another meaning; a name of your own has none"
    ]
    assert problems(inspect_file(top, f'{top}\nrequest_id = ""')) == []


def test_tracing_needs_its_part_and_its_files(inspect_file: Inspect, monkeypatch: pytest.MonkeyPatch) -> None:
    table = '[tracing]\nendpoint = "https://collector:4318"\n'
    assert problems(inspect_file("[access_log]", f"{table}[access_log]")) == []
    [problem] = problems(inspect_file("[access_log]", f'{table}ca = "none.pem"\n[access_log]'))
    assert problem.startswith("tracing.ca: ")
    [problem] = problems(
        inspect_file("[access_log]", f'{table}certificate = "login.pem"\nkey = "sso.key"\n[access_log]')
    )
    assert problem.startswith("tracing.key: ")
    monkeypatch.setattr(sys.modules["lbproxy.preflight.inspect"], "find_spec", lambda _: None)
    assert problems(inspect_file("[access_log]", f"{table}[access_log]")) == [
        "tracing.endpoint: endpoint needs an optional part: install lbproxy[tracing]"
    ]
