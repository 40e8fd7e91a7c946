"""What `diff` compares: a directory, a pack, or the facts of another host as a file or at a URL."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lbproxy import files
from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.difference import Side, side
from lbproxy.instance.facts import Facts
from lbproxy.instance.kinds import kind_of, load
from lbproxy.instance.model import Where
from lbproxy.instance.sealing import Opener

_LARGEST = 256 * 1024  # bytes of facts
_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Reader:
    """How operands are read: `kind` and `where` for directories, `opener` for packs, `tls` for URLs."""

    kind: str
    where: Where
    opener: Opener | None = None
    tls: ssl.SSLContext | None = None

    def read(self, named: str, environment: Path | None = None) -> Side:
        """Raises InstanceError."""
        if named.startswith(("http://", "https://")):
            return _facts(named, self._fetch(named))
        path = Path(named)
        if path.is_dir():
            where = replace(self.where, directory=path, environment=environment)
            return side(named, load(self.kind, where))
        if pack.is_pack(path):
            return self._pack(path)
        try:
            return _facts(named, files.read(path, _LARGEST))
        except OSError as error:
            raise InstanceError(f"{named}: {error.strerror}") from None

    def _pack(self, path: Path) -> Side:
        found = pack.read(path)
        manifest = found.manifest
        kind = kind_of(manifest.kind)
        if self.opener is not None:
            return side(str(path), kind.understand(found.open(self.opener)))
        return Side(str(path), manifest.kind, manifest.key_id, manifest.facts, manifest.values)

    def _fetch(self, url: str) -> bytes:
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.tls)]
        try:
            with urllib.request.build_opener(*handlers).open(url, timeout=_TIMEOUT) as response:
                content: bytes = response.read(_LARGEST + 1)
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise InstanceError(f"{url}: {getattr(error, 'reason', None) or error}") from None
        if len(content) > _LARGEST:
            raise InstanceError(f"{url}: is too long to be facts")
        return content


def _facts(name: str, content: bytes) -> Side:
    try:
        found: Any = json.loads(content)
        told = Facts.model_validate(found)
    except (ValueError, RecursionError):
        raise InstanceError(f"{name}: is neither a directory, nor a pack, nor the facts of an instance") from None
    kind_of(told.kind)
    return Side(name, told.kind, told.key_id, told.facts)
