"""What is secret is sealed with age (age-encryption.org/v1): to a passphrase, or to recipients' keys.

Why age, by pyrage, and not scrypt and AES-GCM of `cryptography`, which is here anyway: those seal to a passphrase, but
for a recipient's key a scheme of one's own would have to be built of X25519 and HKDF. age is such a scheme, written
down and examined; a cut or changed file is noticed; other programs read it (`age -d`). Its recipients can be SSH keys:
a pack can be made for the new host's own key, /etc/ssh/ssh_host_ed25519_key.pub, and no secret has to be handed over.
pyrage is the binding of its Rust implementation: one wheel without dependencies, needed on connectors' hosts only.

age does not tell who has sealed something: all who know the recipient's public key can. So `pack` looks at the owner of
the file. With a passphrase, only a user who knows it can have sealed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from lbproxy.errors import InstanceError, MissingExtraError
from lbproxy.instance import reading
from lbproxy.instance.model import Area

SHORTEST_PASSPHRASE = 12


class Sealer(Protocol):
    """Seals."""

    def seal(self, content: bytes) -> bytes:
        """`content`, encrypted."""
        ...


class Opener(Sealer, Protocol):
    """Opens, and seals so that it can open again."""

    def open(self, sealed: bytes, what: str) -> bytes:
        """What was sealed. Raises InstanceError; `what` it is, for people."""
        ...


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Sealed to a passphrase. It takes about a second, for each guess too."""

    text: str = field(repr=False)

    def seal(self, content: bytes) -> bytes:
        """See `Sealer`. Raises InstanceError if the passphrase is short."""
        if len(self.text) < SHORTEST_PASSPHRASE:
            raise InstanceError(f"the passphrase: is shorter than {SHORTEST_PASSPHRASE} characters")
        sealed: bytes = _age().passphrase.encrypt(content, self.text)
        return sealed

    def open(self, sealed: bytes, what: str) -> bytes:
        """See `Opener`."""
        age = _age()
        try:
            opened: bytes = age.passphrase.decrypt(sealed, self.text)
        except age.DecryptError:
            raise InstanceError(
                f"{what}: cannot be opened: the passphrase is wrong, or the file is cut or damaged"
            ) from None
        return opened


@dataclass(frozen=True, slots=True)
class Recipients:
    """Sealed to public keys: age1... or a line of an SSH public key (ssh-ed25519, ssh-rsa)."""

    keys: Sequence[Any]

    @classmethod
    def read(cls, named: Sequence[str]) -> Recipients:
        """named: keys, or files with one a line. Raises InstanceError."""
        lines = [line for one in named for line in _lines(one)]
        return cls([_recipient(line) for line in lines])

    def seal(self, content: bytes) -> bytes:
        """See `Sealer`."""
        sealed: bytes = _age().encrypt(content, list(self.keys))
        return sealed


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key: of age, or an SSH key without a passphrase."""

    key: Any = field(repr=False)
    public: Any

    @classmethod
    def read(cls, path: Path) -> Identity:
        """Raises InstanceError."""
        age = _age()
        content = reading.alone(path, Area.INSTANCE, secret=True).content
        try:
            if content.lstrip().startswith(b"-----BEGIN"):
                public = load_ssh_private_key(content, None).public_key()
                line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
                return cls(age.ssh.Identity.from_buffer(content), age.ssh.Recipient.from_str(line))
            lines = (line.strip() for line in content.decode().splitlines())
            key = age.x25519.Identity.from_str(next(line for line in lines if line and not line.startswith("#")))
            return cls(key, key.to_public())
        except (ValueError, TypeError, StopIteration, UnsupportedAlgorithm, age.IdentityError, age.RecipientError):
            raise InstanceError(f"{path}: is not a private key of age, or of SSH without a passphrase") from None

    def seal(self, content: bytes) -> bytes:
        """See `Sealer`: to itself."""
        return Recipients([self.public]).seal(content)

    def open(self, sealed: bytes, what: str) -> bytes:
        """See `Opener`."""
        age = _age()
        try:
            opened: bytes = age.decrypt(sealed, [self.key])
        except age.DecryptError:
            raise InstanceError(
                f"{what}: cannot be opened: it was sealed to another key, or to a passphrase, or is cut or damaged"
            ) from None
        return opened


def _age() -> ModuleType:
    try:
        import pyrage
    except ImportError:
        raise MissingExtraError("a pack", "instance") from None
    found: ModuleType = pyrage
    return found


def _lines(named: str) -> list[str]:
    if named.startswith(("age1", "ssh-")):
        return [named]
    if not os.path.exists(named):  # noqa: PTH110  # a name may be too long, or hold anything
        raise InstanceError(f"{named!r}: is neither a public key (age1..., ssh-ed25519 ...) nor a file with one")
    text = reading.alone(Path(named), Area.INSTANCE, secret=False).content.decode("utf-8", "replace")
    found = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not found:
        raise InstanceError(f"{named}: has no public key")
    return found


def _recipient(line: str) -> Any:
    age = _age()
    try:
        return age.ssh.Recipient.from_str(line) if line.startswith("ssh-") else age.x25519.Recipient.from_str(line)
    except age.RecipientError:
        raise InstanceError(
            f"{line[:40]!r}: is not a public key of age (age1...) or SSH (ssh-ed25519, ssh-rsa)"
        ) from None
