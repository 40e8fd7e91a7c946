from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from lbproxy.config import ListenerTls
from lbproxy.config.models import Base
from lbproxy.preflight import Report
from lbproxy.preflight.clients import inspect_clients
from tests.pki import DAY, Authority, write_bundle, write_crls

ROOT = Authority.root("root")
USERS = ROOT.intermediate("users")
MINT = Authority.root("mint", path_length=0)

Inspect = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def inspect_tls(report: Report, tmp_path: Path) -> Inspect:
    """Problems and warnings of a table with these keys; users' authorities are root and users."""
    if not (tmp_path / "ca.pem").exists():
        write_bundle(tmp_path / "ca.pem", ROOT, USERS)

    def inspect_it(**keys: Any) -> tuple[list[str], list[str]]:
        table = {"certificate": "a.pem", "key": "a.key", "client_certificate": "optional", "client_ca": "ca.pem"}
        inspect_clients(report, "a", ListenerTls.model_validate(table | keys, context=Base(tmp_path)))
        return [str(problem) for problem in report.problems], [str(warning) for warning in report.warnings]

    return inspect_it


def test_nobody_is_asked(report: Report) -> None:
    tls = ListenerTls.model_validate({"certificate": "a", "key": "b"}, context=Base(Path("/nowhere")))
    inspect_clients(report, "a", tls)
    assert report == Report(report.now)


def test_sound_authorities(inspect_tls: Inspect, report: Report) -> None:
    assert inspect_tls() == ([], [])
    assert [(expiry.where, expiry.what) for expiry in report.expiries] == [
        ("a.client_ca", "certificate of root"),
        ("a.client_ca", "certificate of users"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "{path}: No such file or directory"),
        (b"", "{path} holds no usable PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "{path} holds no usable PEM certificate"),
    ],
)
def test_authorities_that_cannot_be_read(
    content: bytes | None, problem: str, inspect_tls: Inspect, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert inspect_tls() == ([f"a.client_ca: {problem.format(path=path)}"], [])


def test_authorities_that_have_all_expired(inspect_tls: Inspect, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "ca.pem", Authority.root("old", starts=-3 * DAY, ends=-2 * DAY))
    assert inspect_tls()[0] == [f"a.client_ca: no certificate in {path} is valid now"]


def test_certificates_that_are_no_authority(inspect_tls: Inspect, tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "ca.pem", USERS.issue("alice", ends=30 * DAY))
    assert inspect_tls() == (
        [f"a.client_ca: no certificate in {path} is that of an authority, so nobody's would be accepted"],
        [],
    )


def test_sound_revocation_lists(inspect_tls: Inspect, report: Report, tmp_path: Path) -> None:
    write_crls(tmp_path / "root.crl", ROOT.crl(next_update=30 * DAY))
    der = USERS.crl(next_update=20 * DAY).public_bytes(Encoding.DER)
    (tmp_path / "users.crl").write_bytes(der)
    assert inspect_tls(client_crl=["root.crl", "users.crl"]) == ([], [])
    assert [(expiry.where, expiry.what, expiry.left and expiry.left.days) for expiry in report.expiries[2:]] == [
        ("a.client_crl[0]", "revocation list of root", 29),
        ("a.client_crl[1]", "revocation list of users", 19),
    ]


def test_each_authority_needs_a_list(inspect_tls: Inspect, tmp_path: Path) -> None:
    write_crls(tmp_path / "users.crl", USERS.crl(next_update=30 * DAY))
    assert inspect_tls(client_crl=["users.crl"]) == (
        [],
        ["a.client_crl: no valid revocation list of root, which client_ca has: its users are refused"],
    )


def test_a_list_that_has_expired_refuses_users(inspect_tls: Inspect, tmp_path: Path) -> None:
    expired = ROOT.crl(next_update=-DAY)
    assert expired.next_update_utc is not None
    write_crls(tmp_path / "all.crl", expired, USERS.crl(next_update=30 * DAY))
    assert inspect_tls(client_crl=["all.crl"]) == (
        [],
        [
            f"a.client_crl[0]: the revocation list of root expired on {expired.next_update_utc:%Y-%m-%d}; "
            "users of this authority are refused",
            "a.client_crl: no valid revocation list of root, which client_ca has: its users are refused",
        ],
    )


def test_a_list_that_has_expired_is_a_problem_where_a_certificate_is_required(
    inspect_tls: Inspect, report: Report, tmp_path: Path
) -> None:
    """It fails a check, and no start: the next list will be picked up."""
    expired = USERS.crl(next_update=-DAY)
    assert expired.next_update_utc is not None
    write_crls(tmp_path / "all.crl", expired, ROOT.crl(next_update=30 * DAY))
    assert inspect_tls(client_crl=["all.crl"], client_certificate="required") == ([], [])
    assert list(map(str, report.tolerated)) == [
        f"a.client_crl[0]: the revocation list of users expired on {expired.next_update_utc:%Y-%m-%d}; "
        "users of this authority are refused",
        "a.client_crl: no valid revocation list of users, which client_ca has: its users are refused",
    ]


def test_a_list_that_has_expired_beside_its_successor(inspect_tls: Inspect, report: Report, tmp_path: Path) -> None:
    expired = ROOT.crl(next_update=-DAY)
    write_crls(tmp_path / "all.crl", expired, ROOT.crl(next_update=30 * DAY), USERS.crl(next_update=30 * DAY))
    problems, [warning] = inspect_tls(client_crl=["all.crl"], client_certificate="required")
    assert (problems, report.tolerated) == ([], [])
    assert warning.endswith("; another one of this authority is used")


def test_a_list_that_somebody_else_has_signed_is_none(inspect_tls: Inspect, tmp_path: Path) -> None:
    forged = Authority.root("root").crl(next_update=30 * DAY)
    write_crls(tmp_path / "all.crl", forged, USERS.crl(next_update=30 * DAY))
    assert inspect_tls(client_crl=["all.crl"])[1] == [
        "a.client_crl: no valid revocation list of root, which client_ca has: its users are refused"
    ]


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"])
def test_lists_that_cannot_be_read(content: bytes, inspect_tls: Inspect, tmp_path: Path) -> None:
    write_crls(tmp_path / "all.crl", ROOT.crl(next_update=30 * DAY), USERS.crl(next_update=30 * DAY))
    (tmp_path / "junk.crl").write_bytes(content)
    assert inspect_tls(client_crl=["all.crl", "junk.crl", "none.crl"]) == (
        [
            f"a.client_crl[1]: {tmp_path}/junk.crl holds no usable revocation list, in PEM or in DER",
            f"a.client_crl[2]: {tmp_path}/none.crl: No such file or directory",
        ],
        [],
    )


def test_a_list_that_no_listener_would_use(inspect_tls: Inspect, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder(ROOT.certificate.subject, now - DAY, now + 30 * DAY)
    delta = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True).sign(ROOT.key, SHA256())
    path = write_crls(tmp_path / "delta.crl", delta)
    assert inspect_tls(client_crl=["delta.crl"])[0] == [
        f"a.client_crl[0]: {path} holds a delta revocation list: lbproxy needs the complete one"
    ]


def mint(tmp_path: Path, authority: Any = MINT) -> dict[str, object]:
    """The keys of a listener that mints with this authority, whose files are written."""
    authority.write_certificate(tmp_path / "mint.pem")
    (tmp_path / "mint.key").write_bytes(authority.key_pem)
    (tmp_path / "mint.key").chmod(0o600)
    return {"client_identity": "mint", "mint": {"ca_certificate": "mint.pem", "ca_key": "mint.key"}}


def test_a_sound_mint(inspect_tls: Inspect, report: Report, tmp_path: Path) -> None:
    assert inspect_tls(**mint(tmp_path)) == ([], [])
    assert (report.expiries[-1].where, report.expiries[-1].what) == ("a.mint.ca_certificate", "certificate of mint")


@pytest.mark.parametrize("unused", [{"client_identity": "rfc9440"}, {"client_certificate": "none"}])
def test_a_mint_that_is_not_used_prevents_nothing(
    unused: dict[str, str], inspect_tls: Inspect, report: Report, tmp_path: Path
) -> None:
    keys = mint(tmp_path) | unused
    assert inspect_tls(**keys) == ([], [])
    assert report.expiries[-1].where == "a.mint.ca_certificate"
    (tmp_path / "mint.key").unlink()
    assert inspect_tls(**keys) == ([], [])
    assert list(map(str, report.tolerated)) == [f"a.mint.ca_key: {tmp_path}/mint.key: No such file or directory"]


def test_users_who_are_not_asked_may_have_no_authorities(inspect_tls: Inspect, report: Report, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").unlink()
    assert inspect_tls(client_certificate="none", client_crl=["a.crl"]) == ([], [])
    assert list(map(str, report.tolerated)) == [
        f"a.client_ca: {tmp_path}/ca.pem: No such file or directory",
        f"a.client_crl[0]: {tmp_path}/a.crl: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("authority", "problem"),
    [
        (ROOT.issue("alice"), "the mint's certificate is not that of a CA: basicConstraints has CA:FALSE"),
        (
            ROOT.intermediate("mint", key_cert_sign=False),
            "the mint's certificate is not that of a CA: keyUsage has no keyCertSign",
        ),
    ],
    ids=["a user", "without keyCertSign"],
)
def test_a_mint_that_may_not_sign(authority: Any, problem: str, inspect_tls: Inspect, tmp_path: Path) -> None:
    assert inspect_tls(**mint(tmp_path, authority)) == (
        [f"a.mint.ca_certificate: {tmp_path}/mint.pem: {problem}"],
        [],
    )


def test_a_mint_that_has_expired(inspect_tls: Inspect, tmp_path: Path) -> None:
    old = Authority.root("old mint", path_length=0, starts=-3 * DAY, ends=-2 * DAY)
    expired = old.certificate.not_valid_after_utc
    assert inspect_tls(**mint(tmp_path, old))[0] == [
        f"a.mint.ca_certificate: the certificate of old mint expired on {expired:%Y-%m-%d}"
    ]


def test_a_mint_with_the_key_of_another(inspect_tls: Inspect, tmp_path: Path) -> None:
    keys = mint(tmp_path)
    (tmp_path / "mint.key").write_bytes(ROOT.key_pem)
    assert inspect_tls(**keys)[0] == [
        f"a.mint.ca_key: {tmp_path}/mint.key is not the key of the first certificate in {tmp_path}/mint.pem"
    ]


def test_a_mint_without_files(inspect_tls: Inspect, tmp_path: Path) -> None:
    keys = mint(tmp_path)
    (tmp_path / "mint.pem").unlink()
    (tmp_path / "mint.key").unlink()
    assert inspect_tls(**keys)[0] == [
        f"a.mint.ca_certificate: {tmp_path}/mint.pem: No such file or directory",
        f"a.mint.ca_key: {tmp_path}/mint.key: No such file or directory",
    ]


def test_a_mint_that_could_do_more_than_it_should(inspect_tls: Inspect, tmp_path: Path) -> None:
    keys = mint(tmp_path, USERS)
    (tmp_path / "mint.key").chmod(0o644)
    assert inspect_tls(**keys) == (
        [],
        [
            f"a.mint.ca_key: {tmp_path}/mint.key is open to every account of this machine, "
            "and whoever has it can be any user",
            "a.mint.ca_certificate: the certificate of users has no pathLen 0, so its key can make other authorities "
            "too; name constraints would narrow it further, where connectors honour them",
            "a.mint.ca_certificate: client_ca has users too: with its key, one could sign in here as any user",
        ],
    )
