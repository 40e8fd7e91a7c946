"""The probes' own certificate: whose it is, when it is renewed, and openssl's word on a mint with name constraints."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from lbproxy.auth.mint import Mint, MintError
from lbproxy.auth.probe_identity import ProbeIdentity, default_subject, permits
from tests.pki import Authority, pem

CA = Authority.root("mint", path_length=0)
PROBE = x509.Name.from_rfc4514_string("CN=lbproxy probe")
CORP = x509.Name.from_rfc4514_string("O=Corp")


def constrained(permitted: Sequence[x509.Name] = (), excluded: Sequence[x509.Name] = ()) -> Authority:
    """A mint's authority with name constraints."""
    return Authority.root("mint", path_length=0, permitted=permitted, excluded=excluded)


def identity(authority: Authority, subject: x509.Name, lifetime: float = 600.0) -> ProbeIdentity:
    return ProbeIdentity(Mint(authority.certificate, authority.key, lifetime), subject)


def test_it_is_renewed_when_half_of_its_life_is_over() -> None:
    probe, now = identity(CA, PROBE), float(int(time.time()))
    first = probe.current(now)
    assert first.expires == now + 600
    assert probe.current(now + 299) is first
    second = probe.current(now + 300)
    assert second is not first
    assert second.expires == now + 900


def test_it_says_who_it_is_and_nothing_else() -> None:
    leaf = x509.load_pem_x509_certificates(identity(CA, PROBE).current(time.time()).certificate_pem)[0]
    assert leaf.subject == PROBE
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_without_a_valid_authority_there_is_none() -> None:
    with pytest.raises(MintError, match="not valid now"):
        identity(CA, PROBE).current(CA.certificate.not_valid_after_utc.timestamp())


def test_the_mint_does_not_keep_it_as_a_users() -> None:
    """Other workers and the next generation have probes of their own."""
    probe = identity(CA, PROBE)
    probe.current(time.time())
    assert probe.mint.minted_records() == []


def verified(directory: Path, probe: ProbeIdentity, authority: Authority) -> bool:
    """OpenSSL's word on the certificate."""
    ca, leaf = directory / "ca.pem", directory / "probe.pem"
    ca.write_bytes(pem(authority.certificate))
    leaf.write_bytes(probe.current(time.time()).certificate_pem)
    command = ["openssl", "verify", "-CAfile", str(ca), "-purpose", "sslclient", str(leaf)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


SALES = x509.Name.from_rfc4514_string("OU=Sales,O=Corp")


@pytest.mark.parametrize(
    ("authority", "subject", "permitted"),
    [
        (CA, "CN=lbproxy probe", True),
        (constrained([CORP]), "CN=lbproxy probe", False),
        (constrained([CORP]), "CN=lbproxy probe,O=Corp", True),
        (constrained([CORP]), "CN=lbproxy probe,O=corp", True),
        (constrained([CORP]), "CN=lbproxy probe,O=Corporation", False),
        (constrained([SALES, x509.Name.from_rfc4514_string("O=Other")]), "CN=lbproxy probe,O=Other", True),
        (constrained([SALES]), "CN=lbproxy probe,O=Corp", False),
        (constrained([], [CORP]), "CN=lbproxy probe,O=Corp", False),
        (constrained([], [CORP]), "CN=lbproxy probe", True),
    ],
)
def test_name_constraints_are_judged_as_openssl_judges_them(
    tmp_path: Path, authority: Authority, subject: str, permitted: bool
) -> None:
    name = x509.Name.from_rfc4514_string(subject)
    assert permits(authority.certificate, name) is permitted
    assert verified(tmp_path, identity(authority, name), authority) is permitted


@pytest.mark.parametrize(
    ("authority", "subject"),
    [
        (CA, "CN=lbproxy probe"),
        (constrained([CORP]), "CN=lbproxy probe,O=Corp"),
        (constrained([SALES, CORP]), "CN=lbproxy probe,OU=Sales,O=Corp"),
        (constrained([], [CORP]), "CN=lbproxy probe"),
    ],
)
def test_the_default_is_a_name_that_connectors_accept(tmp_path: Path, authority: Authority, subject: str) -> None:
    name = default_subject(authority.certificate)
    assert name.rfc4514_string() == subject
    assert verified(tmp_path, identity(authority, name), authority)
