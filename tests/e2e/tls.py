"""Certificates made for one test run, and the TLS contexts of its peers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """A chain and its key on disk, as a listener's configuration names them."""

    chain: Path
    key: Path


class Authority:
    """A certificate authority of the test."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def write(self, directory: Path, *names: str) -> Certificate:
        """Issue a certificate for `names` into `directory`, over the files of an earlier call."""
        leaf = self._ca.issue_cert(*names)
        certificate = Certificate(directory / "chain.pem", directory / "key.pem")
        certificate.chain.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        certificate.key.write_bytes(leaf.private_key_pem.bytes())
        return certificate

    def write_ca(self, path: Path) -> Path:
        path.write_bytes(self._ca.cert_pem.bytes())
        return path

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts this authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context

    def server_context(self, *names: str) -> ssl.SSLContext:
        """For a backend that is called one of `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context
