from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate
from lbproxy.net.tls.revocation import RevocationLists, Verdict
from tests.pki import DAY, HOUR, Authority, Holder, write_crls

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
ALICE = USERS.issue("alice")
NOW = datetime.now(UTC).timestamp()


def verdict(path: Path, who: Holder, *crls: x509.CertificateRevocationList, now: float = NOW) -> Verdict | None:
    """By lists in one file, each in a file of its own, and the other way round: that must not matter."""
    files = [write_crls(path / f"{number}.crl", crl) for number, crl in enumerate(crls)]
    certificate = ClientCertificate.from_chain(who.chain)
    ways = [files, files[::-1], [write_crls(path / "all.crl", *crls)]]
    verdicts = {RevocationLists(way).verdict(certificate, now) for way in ways}
    assert len(verdicts) == 1
    return verdicts.pop()


def with_extension(authority: Authority, extension: x509.ExtensionType) -> x509.CertificateRevocationList:
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(now - HOUR).next_update(now + DAY).add_extension(extension, critical=True)
    return builder.sign(authority.key, hashes.SHA256())


def part(uri: str, indirect: bool = False) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier(uri)], None, False, False, None, indirect, False
    )


def test_nobody_is_revoked(tmp_path: Path) -> None:
    assert verdict(tmp_path, ALICE, ROOT.crl(), USERS.crl(USERS.issue("bob"))) is None


def test_revoked(tmp_path: Path) -> None:
    revoked = f"serial {ALICE.serial:x} of CN=users"
    assert verdict(tmp_path, ALICE, ROOT.crl(), USERS.crl(ALICE)) == (reasons.CLIENT_CERT_REVOKED, revoked)
    above = f"serial {USERS.serial:x} of CN=root"
    assert verdict(tmp_path, ALICE, ROOT.crl(USERS), USERS.crl()) == (reasons.CLIENT_CERT_REVOKED, above)


def test_tells_whose_lists_are_current(tmp_path: Path) -> None:
    lists = RevocationLists([write_crls(tmp_path / "all.crl", ROOT.crl(), USERS.crl(next_update=HOUR))])
    late = NOW + 2 * HOUR.total_seconds()
    root, users = (each.certificate.subject.public_bytes() for each in (ROOT, USERS))
    assert (lists.is_current(users, NOW), lists.is_current(users, late), lists.is_current(root, late)) == (
        True,
        False,
        True,
    )
    assert lists.is_current(ALICE.certificate.subject.public_bytes(), NOW) is None
    assert (lists.ended(NOW), lists.ended(late)) == ([], ["CN=users"])


def test_the_serial_of_another_issuer_is_another_one(tmp_path: Path) -> None:
    assert verdict(tmp_path, ALICE, ROOT.crl(ALICE), USERS.crl()) is None


def test_fails_closed_without_a_list(tmp_path: Path) -> None:
    missing = reasons.CLIENT_CERT_REFUSED, "no revocation list for certificate 0 of its chain"
    assert verdict(tmp_path, ALICE, ROOT.crl()) == missing
    above = reasons.CLIENT_CERT_REFUSED, "no revocation list for certificate 1 of its chain"
    assert verdict(tmp_path, ALICE, USERS.crl()) == above


def test_fails_closed_from_next_update_on(tmp_path: Path) -> None:
    crl = USERS.crl(next_update=HOUR)
    assert crl.next_update_utc is not None
    end = crl.next_update_utc.timestamp()
    assert verdict(tmp_path, ALICE, ROOT.crl(), crl, now=end - 1) is None
    assert verdict(tmp_path, ALICE, ROOT.crl(), crl, now=end) == (reasons.CRL_EXPIRED, "the list of CN=users")


def test_of_two_lists_the_newer_one_counts(tmp_path: Path) -> None:
    """It may also let somebody in again, who was on hold."""
    old = USERS.crl(ALICE, this_update=-2 * HOUR, next_update=-HOUR)
    assert verdict(tmp_path, ALICE, ROOT.crl(), old, USERS.crl()) is None
    released = USERS.crl(ALICE, this_update=-2 * HOUR)
    assert verdict(tmp_path, ALICE, ROOT.crl(), released, USERS.crl()) is None
    held = verdict(tmp_path, ALICE, ROOT.crl(), USERS.crl(this_update=-2 * HOUR), USERS.crl(ALICE))
    assert held is not None
    assert held[0] is reasons.CLIENT_CERT_REVOKED


def test_each_key_of_an_issuer_has_its_list(tmp_path: Path) -> None:
    """The list of its new key says nothing of certificates that its old key has signed."""
    renewed = ROOT.intermediate("users")
    found = verdict(tmp_path, ALICE, ROOT.crl(), USERS.crl(ALICE, this_update=-2 * HOUR), renewed.crl())
    assert found is not None
    assert found[0] is reasons.CLIENT_CERT_REVOKED
    late = verdict(tmp_path, ALICE, ROOT.crl(), USERS.crl(next_update=-HOUR), renewed.crl())
    assert late == (reasons.CRL_EXPIRED, "the list of CN=users")


def test_each_part_of_an_issuers_certificates_has_its_list(tmp_path: Path) -> None:
    lists = with_extension(USERS, part("http://crl.test/1")), USERS.crl(next_update=-HOUR)
    found = verdict(tmp_path, ALICE, ROOT.crl(), *lists)
    assert found == (reasons.CRL_EXPIRED, "the list of CN=users")


def test_whoever_is_trusted_needs_no_list_of_its_own_issuer(tmp_path: Path) -> None:
    """client_ca names the intermediate authority only, so a chain ends with it."""
    short = Holder(ALICE.certificate, ALICE.key, (USERS.certificate,))
    assert verdict(tmp_path, short, USERS.crl()) is None
    found = verdict(tmp_path, short, USERS.crl(), ROOT.crl(USERS))
    assert found is not None, "but if there is one, it is believed"
    assert found[0] is reasons.CLIENT_CERT_REVOKED


def test_lists_that_would_only_seem_to_be_used(tmp_path: Path) -> None:
    delta = write_crls(tmp_path / "delta.crl", with_extension(USERS, x509.DeltaCRLIndicator(1)))
    with pytest.raises(ValueError, match=r"/delta\.crl holds a delta revocation list"):
        RevocationLists([delta])
    indirect = with_extension(USERS, part("http://crl.test/1", indirect=True))
    with pytest.raises(ValueError, match=r"/indirect\.crl holds an indirect revocation list"):
        RevocationLists([write_crls(tmp_path / "indirect.crl", indirect)])


def test_a_list_that_never_ends(tmp_path: Path) -> None:
    """RFC 5280 section 5.1.2.5 has nextUpdate in every list; without it nobody would notice that no new one comes."""
    der = bytearray(USERS.crl(*(USERS.issue("bob") for _ in range(9))).public_bytes(Encoding.DER))
    assert der[0:2] == der[4:6] == b"\x30\x82", "two sequences, with lengths of two bytes"
    this_update = der.index(b"\x17\x0d")
    del der[this_update + 15 : this_update + 30]
    for at in (2, 6):
        der[at : at + 2] = (int.from_bytes(der[at : at + 2]) - 15).to_bytes(2)
    path = tmp_path / "endless.crl"
    path.write_bytes(der)
    with pytest.raises(ValueError, match=r"/endless\.crl holds a revocation list that does not say when"):
        RevocationLists([path])


def test_tells_when_lists_end(tmp_path: Path) -> None:
    old, new = USERS.crl(this_update=-2 * HOUR), USERS.crl()
    path = write_crls(tmp_path / "users.crl", new, old, ROOT.crl(next_update=HOUR))
    lists = RevocationLists([path])
    assert repr(lists) == "<2 revocation lists of 2 issuers>"
    assert {(each.kind, each.path, each.name) for each in lists.expiries} == {
        ("crl", path, "CN=users"),
        ("crl", path, "CN=root"),
    }
    assert min(each.ends for each in lists.expiries) < NOW + 2 * HOUR.total_seconds()
