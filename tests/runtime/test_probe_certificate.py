"""The certificate that probes show: a minted one, and what is asked about it when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from lbproxy.config import Config, load
from lbproxy.config.models import PoolTls
from lbproxy.errors import StartError
from lbproxy.runtime.probe_certificate import NoIdentityError, make_identity, probe_subject, question
from tests.pki import DAY, HOUR, Authority

MINT = Authority.root("mint", path_length=0)

FILE = """
server_url = "https://login.corp.example"
[listener.plain]
bind = "127.0.0.1:0"
pool = "others"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.login.tls]
certificate = "login.pem"
key = "login.key"
client_certificate = "required"
client_ca = "users.pem"
client_identity = "{identity}"
[listener.login.tls.mint]
ca_certificate = "mint.pem"
ca_key = "mint.key"
[pool.connectors]
backends = [{{ name = "c1", url = "https://127.0.0.1:1" }}]
tls = {{ ca = "ca.pem" }}
{check}
[pool.others]
backends = [{{ name = "o1", url = "https://127.0.0.1:1" }}]
"""


def configuration(directory: Path, check: str = "", identity: str = "mint", mint: Authority = MINT) -> Config:
    mint.write_certificate(directory / "mint.pem")
    (directory / "mint.key").write_bytes(mint.key_pem)
    (directory / "lbproxy.toml").write_text(FILE.format(check=check, identity=identity))
    return load(directory / "lbproxy.toml", {})


def shown_by(config: Config) -> x509.Certificate:
    identity = make_identity(config, "connectors")
    assert identity is not None
    return x509.load_pem_x509_certificates(identity.current().certificate_pem)[0]


def test_whose_it_is(tmp_path: Path) -> None:
    shown = shown_by(configuration(tmp_path))
    assert (shown.subject.rfc4514_string(), shown.issuer) == ("CN=lbproxy probe", MINT.certificate.subject)
    chosen = configuration(tmp_path, 'check.identity = "CN=watchdog,O=Corp"')
    assert shown_by(chosen).subject.rfc4514_string() == "CN=watchdog,O=Corp"


def test_only_where_users_are_minted(tmp_path: Path) -> None:
    assert make_identity(configuration(tmp_path), "others") is None
    assert make_identity(configuration(tmp_path, identity="xfcc"), "connectors") is None


def test_a_mint_that_cannot_be_used(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    (tmp_path / "mint.key").write_text("junk")
    with pytest.raises(StartError, match=r"listener\.login\.tls\.mint: .*mint\.key"):
        make_identity(config, "connectors")


def test_a_mint_that_has_expired_is_an_error_of_the_probe(tmp_path: Path) -> None:
    late = Authority.root("late", path_length=0, starts=-2 * DAY, ends=-HOUR)
    identity = make_identity(configuration(tmp_path, mint=late), "connectors")
    assert identity is not None
    with pytest.raises(NoIdentityError, match="no certificate for the probe: the mint's CA certificate is not valid"):
        identity.current()


def test_what_is_asked_when_it_is_refused(tmp_path: Path) -> None:
    identity = make_identity(configuration(tmp_path), "connectors")
    assert question(PoolTls(), identity) == "does its CA_CERT contain the mint (CN=mint)?"
    own = PoolTls.model_construct(certificate=Path("/etc/own.pem"))
    assert question(own, None) == "does it trust the issuer of /etc/own.pem?"
    assert question(PoolTls(), None) == ""


def test_the_default_subject() -> None:
    assert probe_subject(MINT.certificate, None).rfc4514_string() == "CN=lbproxy probe"
    assert probe_subject(MINT.certificate, "O=Corp").rfc4514_string() == "O=Corp"
