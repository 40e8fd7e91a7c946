"""Sealed to a passphrase, to a key of age, or to a host's SSH key."""

from __future__ import annotations

import hmac
import os
import re
from base64 import b64decode, b64encode
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lbproxy.errors import InstanceError
from lbproxy.instance.sealing import Identity, Passphrase, Recipients

LOCKED = b"\0\0\0\x0aaes256-ctr\0\0\0\6bcrypt"
"""How OpenSSH names the cipher and the derivation of a key with a passphrase."""

CONTENT = b"LDAP_BIND_CREDENTIALS" * 1000


def ssh_key(path: Path) -> str:
    """Write a host's key as ssh-keygen does; its public line."""
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " root@c2"


def age_key(path: Path) -> str:
    key = pyrage.x25519.Identity.generate()
    path.write_text(f"# created: today\n# public key: {key.to_public()}\n{key}\n")
    return str(key.to_public())


def sealed_with_little_work(content: bytes, passphrase: str) -> bytes:
    """As age does it, but guessing is cheap: its file key, wrapped by scrypt, then one chunk."""
    salt, file_key, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, n=2**4, r=8, p=1).derive(passphrase.encode())
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %s 4\n%s\n---" % (unpadded(salt), unpadded(wrapped))
    mac = hmac.digest(derived(file_key, b"", b"header"), header, "sha256")
    chunk = ChaCha20Poly1305(derived(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\1", content, None)
    return header + b" " + unpadded(mac) + b"\n" + nonce + chunk


def unpadded(value: bytes) -> bytes:
    return b64encode(value).rstrip(b"=")


def derived(key: bytes, salt: bytes, what_for: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, what_for).derive(key)


def test_sealing_to_a_passphrase_makes_guesses_expensive() -> None:
    """That it can be opened again is shown where one is typed at a terminal, because that takes as long."""
    sealed = Passphrase("correct horse battery").seal(CONTENT)
    work = re.match(rb"age-encryption\.org/v1\n-> scrypt \S+ (\d+)\n", sealed)
    assert work
    assert int(work[1]) >= 10  # it is measured, and less on a busy machine
    assert b"LDAP" not in sealed


def test_what_was_sealed_to_a_passphrase_is_opened_by_it_only() -> None:
    sealed = sealed_with_little_work(CONTENT, "correct horse battery")
    assert Passphrase("correct horse battery").open(sealed, "p") == CONTENT
    with pytest.raises(InstanceError, match=r"^p: cannot be opened: the passphrase is wrong"):
        Passphrase("correct horse batterz").open(sealed, "p")


def test_a_short_passphrase_is_refused_and_none_is_in_a_repr() -> None:
    with pytest.raises(InstanceError, match="is shorter than 12 characters"):
        Passphrase("hunter2").seal(CONTENT)
    assert "hunter2" not in repr(Passphrase("hunter2"))


@pytest.mark.parametrize("make", [age_key, ssh_key])
def test_a_key(tmp_path: Path, make: object) -> None:
    public = make(tmp_path / "key")  # type: ignore[operator]
    sealed = Recipients.read([public]).seal(CONTENT)
    identity = Identity.read(tmp_path / "key")
    assert identity.open(sealed, "p") == CONTENT
    assert identity.open(identity.seal(b"to itself"), "p") == b"to itself"
    assert "SECRET" not in repr(identity)
    age_key(tmp_path / "other")
    with pytest.raises(InstanceError, match=r"^p: cannot be opened: it was sealed to another key"):
        Identity.read(tmp_path / "other").open(sealed, "p")


def test_several_keys_in_a_file(tmp_path: Path) -> None:
    lines = [age_key(tmp_path / "a"), ssh_key(tmp_path / "b")]
    (tmp_path / "keys").write_text("# hosts\n" + "\n".join(lines) + "\n")
    sealed = Recipients.read([str(tmp_path / "keys")]).seal(CONTENT)
    assert [Identity.read(tmp_path / name).open(sealed, "p") for name in "ab"] == [CONTENT, CONTENT]


@pytest.mark.parametrize("cut", [0, 10, 200, -1])
def test_what_is_cut_is_noticed(tmp_path: Path, cut: int) -> None:
    sealed = Recipients.read([age_key(tmp_path / "key")]).seal(CONTENT)
    with pytest.raises(InstanceError, match="is cut or damaged"):
        Identity.read(tmp_path / "key").open(sealed[:cut], "p")


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("age1nothing", "'age1nothing': is not a public key"),
        ("ssh-ed25519 AAAA", "is not a public key"),
        ("no/such/file", "neither a public key"),
        ("x" * 5000, "neither a public key"),
    ],
)
def test_what_is_no_recipient(named: str, problem: str) -> None:
    with pytest.raises(InstanceError, match=problem):
        Recipients.read([named])


def test_what_is_no_identity(tmp_path: Path) -> None:
    ssh_key(tmp_path / "host")
    armored = (tmp_path / "host").read_text().splitlines()
    blob = b64decode("".join(armored[1:-1])).replace(b"\0\0\0\4none\0\0\0\4none", LOCKED)
    (tmp_path / "locked").write_text("\n".join([armored[0], b64encode(blob).decode(), armored[-1]]))
    (tmp_path / "empty").touch()
    (tmp_path / "public").write_text(age_key(tmp_path / "key"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("locked", "empty", "public", "binary"):
        with pytest.raises(InstanceError, match=f"{name}: is not a private key"):
            Identity.read(tmp_path / name)
    (tmp_path / "comments").write_text("# nothing\n")
    with pytest.raises(InstanceError, match="has no public key"):
        Recipients.read([str(tmp_path / "comments")])
