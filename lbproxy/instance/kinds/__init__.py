"""The kinds of connectors: which files each has, what has to be equal, what must differ, and what a difference does.

auth0  the Auth0 AD/LDAP connector
apono  Apono's connector
files  anything else: a list of paths
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lbproxy.errors import InstanceError
from lbproxy.instance import reading
from lbproxy.instance.kinds.apono import Apono
from lbproxy.instance.kinds.auth0 import Auth0
from lbproxy.instance.kinds.files import Files
from lbproxy.instance.model import Instance, Kind, Where

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (Auth0(), Apono(), Files())}


def load(kind: str, where: Where, new: bool = False) -> Instance:
    """The instance at `where`; new: it may have no settings yet. Raises InstanceError."""
    if not where.directory.is_dir():
        raise InstanceError(f"{where.directory}: no directory")
    known = kind_of(kind)
    instance = known.understand(known.gather(where, new))
    if where.digest_key is not None:
        instance = replace(instance, material=reading.shared_secret(where.digest_key))
    return instance


def kind_of(name: str) -> Kind:
    """Raises InstanceError."""
    if name not in KINDS:
        raise InstanceError(f"{name!r} is no kind of instance; there are {', '.join(KINDS)}")
    return KINDS[name]


def harm(kind: str, aspect: str, parts: list[str]) -> str:
    """What users notice when instances differ in these parts of an aspect: the closest words there are."""
    known = kind_of(kind)
    close = [known.parts[part] for part in parts if part in known.parts]
    return " ".join(dict.fromkeys(close)) or known.aspects.get(aspect, "")
