"""Keys and certificates of the Auth0 connector, and whether they fit."""

from __future__ import annotations

import base64

import pytest

from lbproxy.instance.kinds import auth0_keys as keys
from tests.instance.connector import encrypt, pfx
from tests.pki import Authority, pem, self_signed

# Made by lib/crypto.js's calls in Node: createCipheriv under scryptSync, and createCipher of Node 20.
NODE_KEY = b"-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
NODE = (
    "$2$.000102030405060708090a0b0c0d0e0f.f0e0d0c0b0a090807060504030201000.421bf891ee0bbf882a926a1eea37fad7",
    "f3ff4f50655ec5ec64abb4898967aa58",
)


@pytest.mark.parametrize("encrypted", NODE)
def test_decrypts_what_node_encrypted(encrypted: str) -> None:
    assert keys.ldap_password(encrypted, NODE_KEY) == "pässword"
    assert keys.ldap_password(encrypted, NODE_KEY + b"\n") != "pässword"


def test_the_tests_own_connector_encrypts_alike() -> None:
    assert keys.ldap_password(encrypt("pässword", NODE_KEY), NODE_KEY) == "pässword"


@pytest.mark.parametrize("damaged", ["", "x", "$2$.", "$2$.00.00.zz", "$2$.00.00", NODE[0][:-2], NODE[1][:-1]])
def test_what_cannot_be_decrypted_is_no_password(damaged: str) -> None:
    assert keys.ldap_password(damaged, NODE_KEY) is None


def test_a_key_that_fits_its_certificate() -> None:
    corp, other = self_signed("corp"), self_signed("other")
    fits = keys.signing(pem(corp.certificate), corp.key_pem, "cert and key")
    assert (fits.problem, len(fits.fingerprint), len(fits.thumbprint)) == ("", 64, 40)
    assert "not the certificate's" in keys.signing(pem(corp.certificate), other.key_pem, "cert and key").problem
    for certificate, key in ((b"", corp.key_pem), (pem(corp.certificate), b"x"), (b"\xff", b"\xff")):
        assert keys.signing(certificate, key, "cert and key").problem.startswith("cert and key: are not")


def test_the_material_is_the_key_however_it_is_written() -> None:
    corp = self_signed("corp")
    windows = corp.key_pem.replace(b"\n", b"\r\n")
    materials = {keys.signing(pem(corp.certificate), key, "").material for key in (corp.key_pem, windows)}
    assert len(materials) == 1


def test_authorities_as_a_list_or_in_one_text() -> None:
    a, b = (pem(Authority.root(name).certificate).decode() for name in "ab")
    apart, together = keys.authorities([a, b]), keys.authorities(b + a)
    assert apart == together
    assert len(apart.fingerprints) == 2
    assert keys.authorities(None) == keys.Authorities([])


def test_the_comma_that_the_admin_console_makes_of_a_list() -> None:
    a, b = (pem(Authority.root(name).certificate).decode() for name in "ab")
    found = keys.authorities(f"{a},{b}")
    assert found.fingerprints == keys.authorities(a).fingerprints, "what the connector makes of it"
    assert "has a comma between two authorities" in found.problem


@pytest.mark.parametrize("value", ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_authority(value: str) -> None:
    assert keys.authorities(value).problem == "CA_CERT: is not a certificate, as PEM"


def test_many_beginnings_and_no_end() -> None:
    """Three megabytes: looking for the end from each beginning would take days."""
    found = keys.authorities("-----BEGIN CERTIFICATE-----" * 100_000)
    assert found.problem == "CA_CERT: is not a certificate, as PEM"


def test_a_pfx_is_compared_by_its_certificate() -> None:
    server = Authority.root().server("login.corp.example")
    one, two = keys.server_key(pfx(server, "a"), "a"), keys.server_key(pfx(server, "b"), "b")
    assert one == two
    assert one.fingerprints == [keys.fingerprint(server.certificate)]


def test_a_pfx_that_cannot_be_opened() -> None:
    good = pfx(Authority.root().server("login.corp.example"), "a")
    assert keys.server_key(good, "wrong").problem == "SSL_PFX: cannot be opened with SSL_KEY_PASSWORD"
    assert keys.server_key("x", "").problem == "SSL_PFX: is not base64 of a PFX file"
    cut = base64.b64encode(base64.b64decode(good)[:100]).decode()
    assert keys.server_key(cut, "a").problem == "SSL_PFX: cannot be opened with SSL_KEY_PASSWORD"
