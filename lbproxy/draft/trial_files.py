"""A certificate for trials, signed by an authority of its own that a browser or curl can be told to believe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from lbproxy.demo.authority import Authority
from lbproxy.errors import StartError


class TrialFiles(NamedTuple):
    """`authority` is what clients have to believe; the others are for [listener.NAME.tls]."""

    certificate: Path
    key: Path
    authority: Path


def make(directory: Path, host: str) -> TrialFiles:
    """A certificate for `host` (no brackets) and localhost in `directory`, for 30 days.

    Files that are there already are used again until a day before they expire, so that a client has to be told to
    believe them once. The key of the authority is removed, so it can vouch for nothing else. Raises StartError.
    """
    home = directory / host
    files = TrialFiles(home / "server.pem", home / "server.key", home / "ca.pem")
    try:
        if not all(path.exists() for path in files) or _ends(files.certificate) < datetime.now(UTC) + _USED_UNTIL:
            authority = Authority(home, "lbproxy, for trials only")
            authority.server(dict.fromkeys([host, "localhost", "127.0.0.1", "::1"]))
            authority.pair.key.unlink()
    except (OSError, ValueError) as error:
        raise StartError(f"--self-signed: {home}: {getattr(error, 'strerror', None) or error}") from error
    return files


_USED_UNTIL = timedelta(days=1)


def _ends(certificate: Path) -> datetime:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
