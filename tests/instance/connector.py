"""An installation of the Auth0 AD/LDAP connector, as far as files go: laid out as the real one (6015b9c), and not run.

first = Connector.make(tmp_path / "first")       # installed, and started once
second = Connector.install(tmp_path / "second")  # installed only
first.set(SERVER_URL="https://elsewhere.corp.example")
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from tests.pki import Authority, Holder, pem, self_signed

VERSION = "6.1.2"
SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "the password of the LDAP account"
MAPPER = "module.exports = function (raw) { return { id: raw.objectGUID }; };\n"
VIEW = "<form method='post'>Sign in</form>\n"


@dataclass(frozen=True)
class Connector:
    """The one in `directory`."""

    directory: Path

    @classmethod
    def install(cls, directory: Path, version: str = VERSION) -> Connector:
        """What the package brings; no settings."""
        for below in ("lib", "views", "connector-setup/steps"):
            (directory / below).mkdir(parents=True)
        package = {"name": "ad-ldap-connector", "version": version}
        (directory / "package.json").write_text(json.dumps(package))
        (directory / "server.js").write_text("require('./lib/initConf');\n")
        (directory / "lib" / "initConf.js").write_text("// the settings\n")
        (directory / "lib" / "profileMapper.js").write_text("module.exports = (raw) => raw;\n")
        (directory / "connector-setup" / "index.js").write_text("// the first start\n")
        (directory / "views" / "login.ejs").write_text("<form>The package's</form>\n")
        return cls(directory)

    @classmethod
    def make(cls, directory: Path, port: int = 4000, **settings: Any) -> Connector:
        """One that has started once, with settings of its own."""
        made = cls.install(directory)
        made.sign(_own_key(directory.name))
        (directory / "lib" / "profileMapper.js").write_text(MAPPER)
        (directory / "views" / "login.ejs").write_text(VIEW)
        config = {
            "PORT": port,
            "SERVER_URL": "https://login.corp.example",
            "SESSION_SECRET": SECRET,
            "PROVISIONING_TICKET": "https://corp.auth0.example/p/ad/secretticket",
            "LDAP_URL": "ldaps://dc.corp.example",
            "LDAP_BASE": "DC=corp,DC=example",
            "LDAP_BIND_USER": "svc-auth0",
            "LDAP_BIND_CREDENTIALS": encrypt(PASSWORD, (directory / "certs" / "cert.key").read_bytes()),
            "REALM": "urn:auth0:corp",
            "CONNECTION": "corp",
            "FIREWALL_RULE_CREATED": False,
            "LAST_SENT_THUMBPRINT": made.thumbprint(),
        }
        (directory / "config.json").write_text(json.dumps({**config, **settings}, indent=2))
        return made

    @property
    def config(self) -> dict[str, Any]:
        """As config.json has it."""
        found: dict[str, Any] = json.loads((self.directory / "config.json").read_text())
        return found

    def set(self, **settings: Any) -> None:
        """Change config.json; None removes a setting."""
        changed = {name: value for name, value in {**self.config, **settings}.items() if value is not None}
        (self.directory / "config.json").write_text(json.dumps(changed, indent=2))

    def sign(self, holder: Holder) -> None:
        """Have another key and certificate in certs/."""
        certs = self.directory / "certs"
        certs.mkdir(exist_ok=True)
        (certs / "cert.pem").write_bytes(pem(holder.certificate))
        (certs / "cert.key").write_bytes(holder.key_pem)
        (certs / "cert.key").chmod(0o600)

    def thumbprint(self) -> str:
        """Of its certificate, as the connector remembers that it told the tenant."""
        from cryptography.x509 import load_pem_x509_certificate

        shown = load_pem_x509_certificate((self.directory / "certs" / "cert.pem").read_bytes())
        return shown.fingerprint(SHA1()).hex().upper()

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every file below it, with its mode."""
        return {
            str(path.relative_to(self.directory)): (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and ".lbproxy-instance" not in path.parts
        }


@cache
def _own_key(directory: str) -> Holder:
    """Of the connector that is in a directory of that name, in whatever test."""
    return self_signed("corp")


@cache  # it is slow on purpose, and lbproxy remembers what it has decrypted
def encrypt(password: str, key: bytes) -> str:
    """As lib/crypto.js does."""
    salt, iv = os.urandom(16), os.urandom(16)
    derived = hashlib.scrypt(key, salt=salt, n=16384, r=8, p=1, dklen=32, maxmem=64 * 1024 * 1024)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(derived), modes.CBC(iv)).encryptor()
    content = encryptor.update(padder.update(password.encode()) + padder.finalize()) + encryptor.finalize()
    return f"$2$.{salt.hex()}.{iv.hex()}.{content.hex()}"


def pfx(holder: Holder, passphrase: str) -> str:
    """SSL_PFX of a server's key."""
    content = pkcs12.serialize_key_and_certificates(
        b"login", holder.key, holder.certificate, None, BestAvailableEncryption(passphrase.encode())
    )
    return base64.b64encode(content).decode()


def with_certificates(connector: Connector) -> None:
    """Have it ask for users' certificates."""
    root = Authority.root("users")
    settings = {
        "CLIENT_CERT_AUTH": True,
        "CA_CERT": pem(root.certificate).decode(),
        "SSL_PFX": pfx(Authority.root().server("login.corp.example"), "pfx password"),
        "SSL_KEY_PASSWORD": "pfx password",
    }
    connector.set(**settings)
