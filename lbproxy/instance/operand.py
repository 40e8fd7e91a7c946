"""What `diff` compares: a directory, a pack, or the facts of another host as a file or at a URL."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from lbproxy import files
from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.difference import Side, side
from lbproxy.instance.facts import Facts
from lbproxy.instance.kinds import kind_of, load
from lbproxy.instance.model import Where
from lbproxy.instance.sealing import Opener

_LARGEST = 256 * 1024  # bytes of facts
_TIMEOUT = 5.0  # seconds for the whole answer, however slowly it comes


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
        try:
            return asyncio.run(self._get(url))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise InstanceError(f"{url}: {_why(error)}") from None

    async def _get(self, url: str) -> bytes:
        """One answer; redirects are not followed, and no proxy is asked. Raises InstanceError and what aiohttp does."""
        async with (
            asyncio.timeout(_TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(url, ssl=self.tls or True, allow_redirects=False) as response,
        ):
            content = b""
            async for part in response.content.iter_any():
                content += part
                if len(content) > _LARGEST:
                    raise InstanceError(f"{url}: is too long to be facts")
        if response.status != 200:
            raise InstanceError(f"{url}: {response.status} {response.reason}")
        return content


def _why(error: Exception) -> str:
    """Without the words of what was asked."""
    match error:
        case TimeoutError():
            return f"no answer within {_TIMEOUT:g} s"
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or str(cause)
        case aiohttp.InvalidURL():
            return "is no URL"
        case aiohttp.ClientPayloadError():
            return "the answer was cut short"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
    return "it closed the connection"


def _facts(name: str, content: bytes) -> Side:
    try:
        found: Any = json.loads(content)
        told = Facts.model_validate(found)
    except (ValueError, RecursionError):
        raise InstanceError(f"{name}: is neither a directory, nor a pack, nor the facts of an instance") from None
    kind_of(told.kind)
    return Side(name, told.kind, told.key_id, told.facts)
