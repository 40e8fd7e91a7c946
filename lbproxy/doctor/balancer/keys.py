"""The service's key: the ticket that users get, beside the keytabs that connectors have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.doctor.balancer.sight import Kerberos, Sight, Ticket, remedy, ticket_of
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.doctor.kerberos.keytab import Entry, enctype_name, read_keytab

WHY = "Users get tickets that are made with this key; only connectors with the same key take them."
WHY_KEYTABS = "A connector with another key answers 401 to every ticket."

RC4 = 23


async def ticket(sight: Sight) -> Found:
    """The ticket for the SPN of each pool's check, and whether browsers ask for the same."""
    found = [one for kerberos in sight.kerberos.values() for one in await _ticket(sight, kerberos)]
    return [*found, *_spns(sight)]


async def _ticket(sight: Sight, kerberos: Kerberos) -> list[Finding]:
    subject = kerberos.service
    try:
        found = await kerberos.ticket.get()
    except KerberosFailure as failure:
        told = f"no ticket: {failure}"
        return [problem(told, repair=remedy(failure.failure), subject=subject)]
    told = f"the KDC makes tickets with {described(found)}"
    if found.enctype == RC4:
        why = "RC4 is weak, and newer domain controllers and libraries refuse it."
        repair = "allow AES for the account (msDS-SupportedEncryptionTypes 24), change its password, export the keytab"
        return [warning(told, why, repair, subject)]
    return [ok(told, subject)]


def _spns(sight: Sight) -> Iterator[Finding]:
    asked = f"HTTP/{sight.config.server_host}"
    for kerberos in sight.kerberos.values():
        if kerberos.service.lower() != asked.lower():
            yield warning(
                f"the check of pool {kerberos.pool} asks for {kerberos.service}, and browsers for {asked}",
                "The check says nothing of the tickets that users get.",
                f'spn = "{asked.replace("/", "@")}" in [pool.{kerberos.pool}.check.kerberos]',
            )


def described(ticket: Ticket) -> str:
    """As in kvno 2, aes256-sha1."""
    version = "a key without a version" if ticket.kvno is None else f"kvno {ticket.kvno}"
    return version if ticket.enctype is None else f"{version}, {enctype_name(ticket.enctype)}"


async def keytabs(sight: Sight) -> Found:
    """Those of --keytab beside the ticket, and the probe's own."""
    kerberos = sight.one_kerberos()
    found = [one for path in sight.asked.keytabs for one in await _connectors(path, kerberos)]
    if not sight.asked.keytabs:
        told = "the connectors' keytab is not known here"
        found.append(unseen(told, "copy it here, root's alone, and add --keytab FILE; or run doctor at the connectors"))
    return [*found, *await asyncio.to_thread(_probes, kerberos)]


def _probes(kerberos: Kerberos) -> list[Finding]:
    path, principal = kerberos.table.keytab, kerberos.table.principal
    try:
        entries = [one for one in read_keytab(path) if one.principal == principal]
    except (OSError, ValueError) as error:
        return [problem(said(path, error), repair=f"ls -l {path}; klist -kte {path}")]
    kinds = sorted({enctype_name(one.enctype) for one in entries})
    if kinds == [enctype_name(RC4)]:
        why = "Directories that refuse RC4 refuse the probe."
        return [warning(f"{path}: {principal} has RC4 keys only", why, "export the keytab again, with AES256-SHA1")]
    if not entries:
        return [problem(f"{path}: has no key of {principal}", repair=f"klist -kte {path}")]
    return [ok(f"{path}: {principal}, kvno {max(one.kvno for one in entries)}, {', '.join(kinds)}")]


async def _connectors(path: Path, kerberos: Kerberos) -> list[Finding]:
    try:
        entries = await asyncio.to_thread(read_keytab, path)
    except (OSError, ValueError) as error:
        return [unseen(said(path, error), f"ls -l {path}; klist -kte {path}")]
    try:
        found = await ticket_of(kerberos)
    except UnseenError as error:
        return [unseen(f"{path}: {listed(entries)}; {error.reason}")]
    return [await asyncio.to_thread(compare, path, entries, found, kerberos.service)]


def compare(path: Path, entries: Sequence[Entry], ticket: Ticket, service: str) -> Finding:
    """Whether a connector with this keytab takes the ticket: version, encryption type, and then the key itself."""
    again = f"export the keytab of the account of {service} again, and copy it to every connector; keep the old entries"
    versions = {one.kvno for one in entries}
    kinds = {one.enctype for one in entries if ticket.kvno in (None, one.kvno)}
    if ticket.kvno is not None and ticket.kvno not in versions:
        return problem(f"{path}: has {listed(entries)}; tickets are made with {described(ticket)}", repair=again)
    if ticket.enctype is not None and ticket.enctype not in kinds:
        told = f"{path}: has no {enctype_name(ticket.enctype)} key of kvno {ticket.kvno}, which tickets are made with"
        return problem(told, repair=f"{again}; with /crypto ALL, or the account's msDS-SupportedEncryptionTypes")
    if trouble := _refusal(path, ticket):
        told = f"{path}: has a key of {described(ticket)}, and it is another one: {trouble}"
        why = "It was made with another password or salt, or is another account's."
        return problem(told, why, "ktutil addent with -s SALT; or ktpass, samba-tool domain exportkeytab")
    return ok(f"{path}: takes the ticket of the KDC ({described(ticket)})")


def _refusal(path: Path, ticket: Ticket) -> str:
    """Why an acceptor with this keytab refuses it; empty if it takes it."""
    from lbproxy.control.probes.kerberos import gss

    try:
        store: dict[bytes | str, bytes | str] = {"keytab": f"FILE:{path}", "rcache": "none:"}
        held = gss.gssapi.Credentials(usage="accept", mechs=[gss.KRB5], store=store)
        gss.gssapi.SecurityContext(creds=held, usage="accept").step(ticket.token)
    except gss.GSSError as error:
        return gss.text(error)
    return ""


def listed(entries: Sequence[Entry]) -> str:
    """The keys, without what they are."""
    names = sorted({f"{one.principal} kvno {one.kvno} {enctype_name(one.enctype)}" for one in entries})
    return ", ".join(names) or "no keys"


def said(path: Path, error: OSError | ValueError) -> str:
    """Why a file cannot be used."""
    return f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
