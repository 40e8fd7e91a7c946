"""What an answer says of the request that it is for."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import unquote_plus

from ..message import Response


@dataclass(frozen=True)
class Answer:
    """A 200 of either kind of connector: as whom it was given, by which instance, to which target."""

    user: str
    instance: str
    path: str

    @classmethod
    def of(cls, response: Response) -> Answer:
        facts = json.loads(response.body)
        # Apache has no encoding for JSON, so its values are those of a form; the sample connector's have no % or +.
        return cls(*(unquote_plus(facts[key] or "") for key in ("user", "instance", "path")))


def token_of(response: Response, scheme: str = "Negotiate") -> bytes | None:
    """The token of the one WWW-Authenticate line; None where there are more lines, or an offer only."""
    lines = response.all("www-authenticate")
    name, _, token = lines[0].partition(b" ") if len(lines) == 1 else (b"", b"", b"")
    return b64decode(token, validate=True) if token and name == scheme.encode() else None
