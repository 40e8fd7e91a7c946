"""What is shared and secret is sealed under the fleet's secret, which never leaves a replica."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12  # bytes, which AES-GCM is made for (NIST SP 800-38D section 5.2.1.1)
_MARK = 8


class FleetSecret:
    """Seals by AES-256-GCM, under a key that HKDF (RFC 5869) makes of the secret and the fleet's name.

    `mark` tells one secret from another, and says nothing else of it as long as it is random: replicas show it.
    """

    def __init__(self, fleet: str, secret: bytes) -> None:
        """secret: at least 32 random bytes, the same on every replica of `fleet`."""
        self._aead = AESGCM(_derive(secret, 32, f"lbproxy fleet {fleet}: seal"))
        self.mark = _derive(secret, _MARK, f"lbproxy fleet {fleet}: mark").hex()

    def __repr__(self) -> str:
        return f"<fleet secret {self.mark}>"

    def seal(self, plain: bytes, place: str) -> bytes:
        """`plain` as it may lie in etcd, at the key `place`: it opens nowhere else."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed. Raises ValueError: under another secret, for another place, or it was changed."""
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise ValueError("cannot be decrypted: it was changed, or was written for another key") from None


def _derive(secret: bytes, size: int, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), size, salt=None, info=purpose.encode()).derive(secret)
