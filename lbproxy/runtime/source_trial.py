"""One question to every source of backends, and to every endpoint of etcd: what does it answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lbproxy.config import Config, Fleet
from lbproxy.control.discovery.discovery import PATIENCE
from lbproxy.control.discovery.source import Answer, Source, SourceError
from lbproxy.control.etcd import Etcd, EtcdError
from lbproxy.runtime.build_discovery import Registry, make_sources
from lbproxy.runtime.build_etcd import access, connect
from lbproxy.runtime.build_pools import build_pool

Key = tuple[str, str]
"""A pool's name and a source's."""


@dataclass(frozen=True, slots=True)
class SourceTrial:
    """`where` was asked. `members` is how many backends the pool would get from there, None if there was no answer.

    `problems`: why there was none, or why backends are left out.
    """

    where: str
    members: int | None
    problems: tuple[str, ...] = ()


async def try_sources(config: Config) -> dict[Key, SourceTrial]:
    """A trial of each source of each pool. Raises MissingExtraError and StartError as `make_sources` does."""
    etcd = None if config.fleet is None else connect(config.fleet)
    registry = Registry(etcd, config.fleet) if etcd is not None and config.fleet is not None else None
    try:
        sources = [
            (name, source)
            for name, options in config.pools.items()
            for source, _ in make_sources(name, options, registry)
        ]
        trials = await asyncio.gather(*(_try(config, name, source) for name, source in sources))
    finally:
        if etcd is not None:
            await etcd.close()
    return {(name, source.name): trial for (name, source), trial in zip(sources, trials, strict=True)}


async def _try(config: Config, pool: str, source: Source) -> SourceTrial:
    try:
        async with asyncio.timeout(PATIENCE):
            await source.start()
            answer: Answer = await source.look()
    except (SourceError, OSError) as error:  # TimeoutError is an OSError
        return SourceTrial(source.where, None, (str(error) or f"no answer within {PATIENCE:g} s",))
    finally:
        await source.stop()
    refused = build_pool(pool, config.pools[pool], config).apply(source.name, answer.members)
    return SourceTrial(source.where, len(answer.members) - len(refused), (*answer.left_out, *refused))


async def try_etcd(fleet: Fleet) -> Mapping[str, str]:
    """Each endpoint, and what is wrong with it; "" if it answers. Raises StartError if a file cannot be used."""
    whole = access(fleet)
    found = await asyncio.gather(*(_ask(Etcd(replace(whole, endpoints=(endpoint,))), fleet) for endpoint in fleet.etcd))
    return dict(zip(fleet.etcd, found, strict=True))


async def _ask(etcd: Etcd, fleet: Fleet) -> str:
    """A key that a role for this fleet may read, from the leader's state: what follows would be asked so too."""
    try:
        await etcd.get(f"/lbproxy/{fleet.name}/")
    except EtcdError as error:
        return error.reason
    finally:
        await etcd.close()
    return ""
