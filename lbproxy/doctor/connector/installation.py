"""The files of a connector: whether it would serve, and whether it is as the others are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from lbproxy.doctor.connector.sight import Settings, Sight
from lbproxy.doctor.finding import Finding, Found, ok, problem, unseen, warning
from lbproxy.doctor.kerberos.keytab import enctype_name, read_keytab
from lbproxy.errors import InstanceError
from lbproxy.instance.difference import compare, side
from lbproxy.instance.kinds import kind_of
from lbproxy.instance.operand import Reader

WHY = "The connector does not serve, or not as the others do."
WHY_BESIDE = "Users notice when they meet the other instance."
WHY_URL = (
    "The connector posts SERVER_URL to the tenant at each start: the instance that starts last decides where every user"
    " is sent."
)
WHY_HEADS = "A user in many groups has a large ticket, and gets 431."
WHY_KEYTAB = "With another key it answers 401 to every ticket."

_NODE_LIMIT, _ENOUGH = 16834, 65536  # bytes: the connector's default, and what Windows allows a ticket, in base64
_RC4 = 23


async def files(sight: Sight) -> Found:
    """What `lbproxy instance pack` would refuse, and what its processes go by."""
    asked = sight.asked
    try:
        instance = await sight.instance()
        found = await asyncio.to_thread(kind_of(asked.kind).inspect, asked.where, instance.files)
    except InstanceError as error:
        return [problem(line, repair=f"ls -l {asked.where.directory}") for line in str(error).splitlines()]
    listed = [_split(problem, one) for one in (*instance.problems, *found.problems)]
    listed += [_split(warning, one) for one in (*instance.warnings, *found.warnings)]
    return listed or [ok(f"{asked.where.directory.resolve()} has all that it needs")]


def _split(kind, sentence: str) -> Finding:  # type: ignore[no-untyped-def]
    """`lbproxy instance` says what to do behind a semicolon."""
    found, _, repair = sentence.partition("; ")
    return kind(found, repair=repair or "see docs/instances.md")  # type: ignore[no-any-return]


async def beside(sight: Sight) -> Found:
    """In what it differs from another instance."""
    asked = sight.asked
    here = await sight.instance()
    found = await asyncio.to_thread(
        lambda: compare(side("here", here), Reader(asked.kind, asked.where).read(asked.beside))
    )
    listed = [
        problem(
            f"{one.aspect}{_parts(one.aspect, list(one.parts))} differs{_values(one.left, one.right)}",
            one.effect,
            f"lbproxy instance apply --kind {asked.kind} PACK, with a pack of the right one",
        )
        for one in found.findings
    ]
    listed += [unseen(f"{aspect}: {why}") for aspect, why in found.unknown.items()]
    return listed or [ok(f"it is like {asked.beside}")]


def _parts(aspect: str, parts: list[str]) -> str:
    return "" if parts == [aspect] else f" ({', '.join(parts)})"


def _values(here: str, there: str) -> str:
    return f": {here} here, {there} there" if here or there else ""


async def server_url(sight: Sight) -> Found:
    """SERVER_URL is that of the balancer."""
    settings = await sight.settings()
    own, wanted = settings.text("SERVER_URL").rstrip("/"), sight.asked.server_url.rstrip("/")
    if not own:
        return [problem("SERVER_URL is not set", repair="set SERVER_URL in config.json, and restart the connector")]
    if not wanted:
        return [unseen(f"SERVER_URL is {own}; that of the balancer is not known here", "add --server-url URL")]
    if own != wanted:
        told = f"SERVER_URL is {own}, and the balancer's server_url is {wanted}"
        return [problem(told, repair=f'"SERVER_URL": "{wanted}" in config.json, then restart the connector')]
    return [ok(f"SERVER_URL is the balancer's, {own}")]


async def heads(sight: Sight) -> Found:
    """MAX_HEADER_SIZE."""
    return list(_heads(await sight.settings()))


def _heads(settings: Settings) -> Iterator[Finding]:
    word = settings.text("MAX_HEADER_SIZE")
    limit = int(word) if word.isdecimal() and int(word) else _NODE_LIMIT
    repair = '"MAX_HEADER_SIZE": 131072 in config.json, then restart the connector (NODE_OPTIONS has no effect)'
    if word and not word.isdecimal():
        yield problem(f"MAX_HEADER_SIZE is no number: {word}", repair=repair)
    elif limit < _ENOUGH and settings.believes_headers:
        yield problem(f"it takes heads of {limit} bytes, and a large ticket has {_ENOUGH}", repair=repair)
    elif limit < _ENOUGH:
        why = "With Kerberos, users in many groups would get 431."
        yield warning(f"it takes heads of {limit} bytes", why, repair)
    else:
        yield ok(f"it takes heads of {limit} bytes")


def keytab(sight: Sight) -> Iterator[Finding]:
    """The keytab of the web server before it: of which service, versions and encryption types."""
    path = sight.asked.where.keytab or Path()
    try:
        entries = read_keytab(path)
    except (OSError, ValueError) as error:
        yield problem(str(error), repair=f"klist -kte {path}")
        return
    kinds = sorted({one.enctype for one in entries})
    told = f"{path}: {', '.join(sorted({f'{one.principal} kvno {one.kvno}' for one in entries})) or 'no keys'}"
    if not entries:
        yield problem(told, repair="export the keytab again")
    elif kinds == [_RC4]:
        yield warning(
            f"{told}, RC4 only", "Newer directories make no such tickets.", "export it again with AES256-SHA1"
        )
    else:
        yield ok(f"{told}, {', '.join(map(enctype_name, kinds))}")
