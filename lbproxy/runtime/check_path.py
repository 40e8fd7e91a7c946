"""Whether backends have the page that probes ask for by default, "/", and what would fit them.

A backend without it, such as the Auth0 connector, is out of rotation for ever: `check` says so before it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from lbproxy import config as settings
from lbproxy.config import Config
from lbproxy.config.keys import full_name
from lbproxy.errors import Problem
from lbproxy.runtime.trial import Key, Trial, try_backends

_FITS: Mapping[str, str] = {
    "/wsfed/FederationMetadata/2007-06/FederationMetadata.xml": "they are Auth0 connectors; docs/connectors/auth0.md"
    " has the request that fits them, which searches LDAP and signs nobody in",
    "/healthz": 'set it to "/healthz", which they have',
    "/health": 'set it to "/health", which they have',
}
"""Pages that tell what a backend is, or that fit; they are tried in this order."""

_OTHERWISE = "set it to a page that they have; one that asks for a sign-in (401) will do"


def defaulted(config: Config) -> list[str]:
    """The full name of check.path of each pool that asks for "/" because nothing else is set."""
    return [_where(name) for name, pool in config.pools.items() if _by_default(pool)]


async def find(config: Config, trials: Mapping[Key, Trial]) -> list[Problem]:
    """A warning for each pool whose backends answered 404 to the default. They are asked for a few pages more."""
    found = []
    for name, pool in config.pools.items():
        names = [one.name for one in _by_default(pool) if _is_missing(trials[name, one.name])]
        if names:
            text = f'"/", the default, is 404 at {", ".join(names)}; {await _advice(config, name, names)}'
            found.append(Problem(_where(name), text))
    return found


def _where(name: str) -> str:
    return full_name(("pool", name, "check", "path"))


def _by_default(pool: settings.Pool) -> list[settings.Backend]:
    if "path" in pool.check.model_fields_set or pool.check.url is not None:
        return []
    return [one for one in pool.backends if one.check_url is None and pool.probe_kind(one) in ("http", "kerberos")]


def _is_missing(trial: Trial) -> bool:
    return trial.probe is not None and trial.probe.detail.startswith(str(HTTPStatus.NOT_FOUND.value))


async def _advice(config: Config, name: str, missing: list[str]) -> str:
    for path, advice in _FITS.items():
        if await _all_have(config, name, missing, path):
            return advice
    return _OTHERWISE


async def _all_have(config: Config, name: str, missing: list[str], path: str) -> bool:
    pool = config.pools[name]
    asked = {"kind": "http", "method": "GET", "path": path, "expect": frozenset({HTTPStatus.OK.value})}
    changed = pool.model_copy(
        update={
            "check": pool.check.model_copy(update=asked),
            "backends": tuple(one for one in pool.backends if one.name in missing),
        }
    )
    trials = await try_backends(config.model_copy(update={"pools": {name: changed}}))
    return all(one.probe is not None and one.probe.ok for one in trials.values())
