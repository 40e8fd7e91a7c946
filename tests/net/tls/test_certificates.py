from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lbproxy.net.tls import certificates
from tests.pki import Authority, Holder, self_signed

CA = trustme.CA()


@pytest.fixture
def leaf() -> trustme.LeafCert:
    return CA.issue_cert("login.corp.example", common_name="login")


@pytest.fixture
def chain(leaf: trustme.LeafCert, tmp_path: Path) -> Path:
    path = tmp_path / "login.pem"
    path.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems) + CA.cert_pem.bytes())
    return path


@pytest.fixture
def key(leaf: trustme.LeafCert, tmp_path: Path) -> Path:
    path = tmp_path / "login.key"
    path.write_bytes(leaf.private_key_pem.bytes())
    return path


def issued(*names: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(CA.issue_cert(*names).cert_chain_pems[0].bytes())


def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"/none\.key: No such file or directory$"):
        certificates.read_key(tmp_path / "none.key")
    with pytest.raises(ValueError, match=r": Is a directory$"):
        certificates.read_key(tmp_path)


def test_a_file_without_a_key(chain: Path) -> None:
    with pytest.raises(ValueError, match=r"login\.pem holds no usable PEM private key"):
        certificates.read_key(chain)


def test_a_key_with_a_passphrase(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    path = tmp_path / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(ValueError, match=r"locked\.key is encrypted; lbproxy needs a key without a passphrase"):
        certificates.read_key(path)


def test_a_key_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match=r"/fifo: not a regular file$"):
        certificates.read_key(tmp_path / "fifo")


def test_a_key_on_a_curve_of_no_known_name(tmp_path: Path) -> None:
    """UnsupportedAlgorithm, which is no ValueError."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    changed = der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030141"))
    (tmp_path / "odd.key").write_text(
        f"-----BEGIN PRIVATE KEY-----\n{b64encode(changed).decode()}\n-----END PRIVATE KEY-----\n"
    )
    with pytest.raises(ValueError, match=r"odd\.key holds no usable PEM private key$"):
        certificates.read_key(tmp_path / "odd.key")


def test_a_pair_that_fits(chain: Path, key: Path) -> None:
    certificates.check_pair(chain, key)


def test_a_pair_that_does_not_fit(chain: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(CA.issue_cert("login.corp.example").private_key_pem.bytes())
    with pytest.raises(ValueError, match=r"other\.key is not the key of the first certificate in .*login\.pem"):
        certificates.check_pair(chain, other)


def test_a_pair_that_openssl_refuses(tmp_path: Path) -> None:
    """cryptography reads a certificate with a 1024-bit key; the security level of TLS does not allow it."""
    weak = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    root = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    builder = x509.CertificateBuilder(name, name, weak.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
    (tmp_path / "weak.pem").write_bytes(builder.sign(weak, SHA256()).public_bytes(Encoding.PEM))
    (tmp_path / "weak.key").write_bytes(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ValueError, match=r"OpenSSL refuses .*weak\.pem with .*weak\.key: EE_KEY_TOO_SMALL"):
        certificates.check_pair(tmp_path / "weak.pem", tmp_path / "weak.key")


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["login.corp.example"], "login.corp.example", True),
        (["login.corp.example"], "Login.Corp.Example", True),
        (["other.example", "login.corp.example"], "login.corp.example", True),
        (["*.corp.example"], "login.corp.example", True),
        (["*.corp.example"], "a.login.corp.example", False),
        (["*.corp.example"], "corp.example", False),
        (["corp.example"], "login.corp.example", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.2"], "10.0.0.1", False),
        (["::1"], "[::1]", True),
    ],
)
def test_hosts_that_a_certificate_covers(names: list[str], host: str, covered: bool) -> None:
    assert certificates.covers(issued(*names), host) is covered


def test_a_common_name_covers_nothing() -> None:
    root = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    assert not certificates.covers(root, certificates.subject(root))


def test_the_subject_without_a_common_name() -> None:
    assert certificates.subject(issued("a.example")).startswith("OU=Testing cert")


ROOT = Authority.root("root", path_length=1)


@pytest.mark.parametrize(
    ("holder", "may_issue", "length"),
    [(ROOT, True, 1), (ROOT.intermediate("users"), True, None), (ROOT.issue("alice"), False, None)],
)
def test_authorities(holder: Holder, may_issue: bool, length: int | None) -> None:
    assert certificates.is_authority(holder.certificate) is may_issue
    assert certificates.path_length(holder.certificate) == length


def test_an_authority_from_before_basic_constraints_signs_itself() -> None:
    assert certificates.is_authority(self_signed("old root").certificate)


def test_a_revocation_list_is_of_whoever_signed_it() -> None:
    assert certificates.issuer(ROOT.crl()) == "root"
    assert certificates.has_issued(ROOT.certificate, ROOT.crl())
    assert not certificates.has_issued(ROOT.certificate, ROOT.intermediate("users").crl())
    assert not certificates.has_issued(ROOT.certificate, Authority.root("root").crl()), "another key of the same name"


def test_dns_names() -> None:
    assert certificates.dns_names(issued("A.example", "10.0.0.1", "*.b.example")) == ["a.example", "*.b.example"]
    assert certificates.dns_names(ROOT.certificate) == []
