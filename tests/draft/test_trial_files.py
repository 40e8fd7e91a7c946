from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from lbproxy.draft import trial_files
from lbproxy.errors import StartError


def test_the_certificate_is_for_the_host_and_this_machine(tmp_path: Path) -> None:
    files = trial_files.make(tmp_path, "login.test")
    leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["login.test", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    ssl.create_default_context(cafile=str(files.authority))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    assert files.key.stat().st_mode & 0o077 == 0
    assert not files.authority.with_suffix(".key").exists()


def test_they_are_used_again_until_they_expire(tmp_path: Path) -> None:
    files = trial_files.make(tmp_path, "::1")
    first = files.certificate.read_bytes()
    assert trial_files.make(tmp_path, "::1") == files
    assert files.certificate.read_bytes() == first
    ending = trustme.CA().issue_cert("x", not_after=datetime.now(UTC) + timedelta(hours=20)).cert_chain_pems[0].bytes()
    files.certificate.write_bytes(ending)
    trial_files.make(tmp_path, "::1")
    assert files.certificate.read_bytes() not in (first, ending)


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "login.test").write_text("")
    with pytest.raises(StartError, match=r"--self-signed: .*login\.test"):
        trial_files.make(tmp_path, "login.test")
