"""The parts of `cryptography` that are used here, each loaded by its first use.

A balancer that reads no certificate, because TLS ends before it, does without: it is a tenth of a start and 5 MB. So no
module uses them while it is imported, nor in a default.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509 as x509
    from cryptography.hazmat.primitives import hashes as hashes
    from cryptography.hazmat.primitives import serialization as serialization
    from cryptography.hazmat.primitives.asymmetric import ec as ec
    from cryptography.hazmat.primitives.asymmetric import ed448 as ed448
    from cryptography.hazmat.primitives.asymmetric import ed25519 as ed25519
    from cryptography.hazmat.primitives.asymmetric import rsa as rsa
else:

    class _Later:
        """Stands for the module `name`; keeps what it was asked for."""

        def __init__(self, name: str) -> None:
            self.__name__ = name

        def __getattr__(self, name: str) -> Any:
            found = getattr(import_module(self.__name__), name)
            setattr(self, name, found)
            return found

    x509 = _Later("cryptography.x509")
    hashes = _Later("cryptography.hazmat.primitives.hashes")
    serialization = _Later("cryptography.hazmat.primitives.serialization")
    ec = _Later("cryptography.hazmat.primitives.asymmetric.ec")
    ed448 = _Later("cryptography.hazmat.primitives.asymmetric.ed448")
    ed25519 = _Later("cryptography.hazmat.primitives.asymmetric.ed25519")
    rsa = _Later("cryptography.hazmat.primitives.asymmetric.rsa")
