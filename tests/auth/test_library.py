"""What is loaded late is loaded once, and is what it stands for."""

from __future__ import annotations

import subprocess
import sys

import cryptography.hazmat.primitives.asymmetric.ec
import cryptography.x509

from lbproxy.auth import library


def test_it_is_what_it_stands_for() -> None:
    assert library.x509.Certificate is cryptography.x509.Certificate
    assert library.x509.oid.NameOID is cryptography.x509.oid.NameOID
    assert library.ec.SECP256R1 is cryptography.hazmat.primitives.asymmetric.ec.SECP256R1
    for name in ("ed448.Ed448PrivateKey", "ed25519.Ed25519PrivateKey", "rsa.RSAPrivateKey"):
        module, _, kind = name.partition(".")
        assert isinstance(getattr(getattr(library, module), kind), type)


def test_it_is_loaded_by_its_first_use() -> None:
    code = """
import sys
from lbproxy.auth import certificate, channel_bindings, mint, probe_identity
from lbproxy.net.tls import server
from lbproxy.preflight import inspect
from lbproxy.auth.library import hashes
print(any(name.partition(".")[0] == "cryptography" for name in sys.modules))
hashes.SHA256()
print("cryptography.hazmat.primitives.hashes" in sys.modules, "cryptography.x509" in sys.modules)
print("SHA256" in vars(hashes))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False", "True"]
