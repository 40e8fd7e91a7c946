"""The directory: who has the SPN, the account of the service, the probe's account, and how large tickets are."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec

from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.doctor.balancer.realm import find_kdcs, srv
from lbproxy.doctor.balancer.sight import Kerberos, Sight, ticket_of
from lbproxy.doctor.directory.account import Account
from lbproxy.doctor.directory.apart import apart
from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.questions import Known, look
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.errors import MissingExtraError

WHY = "The KDC makes tickets with the key of the account that has the SPN; with two of them it makes none."
WHY_SERVICE = "The KDC refuses tickets for it, or makes them with a key that connectors do not have."
WHY_PROBE = "The Kerberos check fails, or does not notice what users with many groups notice."
WHY_TOKENS = "Where the ticket of a user in many groups does not fit, that user alone gets 400 or 431."

_WITHIN = (4.0, 3.0)  # seconds for the first and the second server: together less than a check may take
_SOON = 14 * 86400  # seconds
_LARGE = 8 * 1024  # bytes, the smallest limit of a common server


def has_ticket() -> bool:
    """Whether who runs doctor has a ticket."""
    from lbproxy.control.probes.kerberos import gss

    try:
        return bool(gss.gssapi.Credentials(usage="initiate", mechs=[gss.KRB5]).lifetime)
    except gss.GSSError:
        return False


async def known(sight: Sight) -> Known:
    """Asked once. Raises UnseenError and MissingExtraError."""
    kerberos = sight.one_kerberos()
    return await sight.once("directory", lambda: _ask(sight, kerberos)).get()


async def _ask(sight: Sight, kerberos: Kerberos) -> Known:
    if find_spec("bonsai") is None:
        raise MissingExtraError("LDAP", "doctor")
    with tempfile.TemporaryDirectory(prefix="lbproxy-doctor-") as folder:
        environment = {}
        if not await asyncio.to_thread(has_ticket):
            environment["KRB5CCNAME"] = await _sign_in(kerberos, f"FILE:{folder}/ticket")
        urls = [sight.asked.ldap] if sight.asked.ldap else await _urls(sight, kerberos.realm)
        told = []
        for url, within in zip(urls, _WITHIN, strict=False):
            try:
                return await apart(within, environment, look, url, kerberos.service, kerberos.table.principal)
            except DirectoryError as error:
                told.append(f"{url}: {error}")
    raise UnseenError("; ".join(told) or "no directory is found by DNS", "add --ldap ldap://HOST; kinit as any user")


async def _sign_in(kerberos: Kerberos, cache: str) -> str:
    """`cache`, with the ticket of the probe. Raises UnseenError."""
    from lbproxy.control.probes.kerberos import gss

    try:
        held = await kerberos.signed_in.get()
        await asyncio.to_thread(lambda: gss.store(held.credentials(), cache))
    except KerberosFailure as failure:
        told = f"there is no ticket to ask the directory with: {failure.failure.text}"
        raise UnseenError(told, f"kinit ANY_USER@{kerberos.realm}, and run doctor again") from None
    return cache


async def _urls(sight: Sight, realm: str) -> list[str]:
    """Of DNS, else the KDCs: with Active Directory they are the same hosts."""
    with suppress(UnseenError):
        if found := await srv(sight, f"_ldap._tcp.dc._msdcs.{realm}."):
            return [f"ldap://{one.host}:{one.port}" for one in found]
    return [f"ldap://{one.host}" for one in await find_kdcs(sight, realm)]


async def spn(sight: Sight) -> Found:
    """One account has the SPN."""
    return list(_spn(await known(sight), sight.one_kerberos().service))


def _spn(found: Known, service: str) -> Iterator[Finding]:
    names = [one.name for one in found.holders]
    if len(names) > 1:
        repair = f"setspn -D {service} {found.holders[1].short}; leave it to the one whose keytab connectors have"
        yield problem(f"{service} is on {len(names)} accounts: {', '.join(names)}", repair=repair)
    elif names:
        yield ok(f"{service} is on one account, {names[0]}")
    elif found.hosts:
        told = f"{service} is on no account, and tickets go to {found.hosts[0].name}, which has HOST/ of that name"
        why = "The KDC takes HOST/ for HTTP/, and connectors do not have the key of that computer."
        yield problem(told, why, f"setspn -S {service} ACCOUNT")
    else:
        yield problem(f"no account has {service}", repair=f"setspn -S {service} ACCOUNT; by Samba: samba-tool spn add")


async def service(sight: Sight) -> Found:
    """The account that has the SPN."""
    found = await known(sight)
    if not found.holders:
        raise UnseenError("no account has the SPN")
    kvno = None
    with suppress(UnseenError):
        kvno = (await ticket_of(sight.one_kerberos())).kvno
    return [one for account in found.holders for one in _service(account, kvno)]


def _service(account: Account, kvno: int | None) -> Iterator[Finding]:
    faults = list(account.faults(time.time()))
    for reason, command in faults:
        yield problem(f"{account.name} {reason}", repair=command)
    if account.is_rc4_only:
        why = "RC4 is weak, and newer domain controllers and libraries refuse it."
        repair = f"Set-ADUser {account.short} -KerberosEncryptionType AES128,AES256; new password; new keytab"
        yield warning(f"{account.name} has RC4 keys only", why, repair)
    elif account.enctypes is None:
        why = "Older domain controllers make RC4 tickets for it then."
        repair = f"Set-ADUser {account.short} -KerberosEncryptionType AES128,AES256"
        yield warning(f"{account.name} does not say its encryption types", why, repair)
    if kvno is not None and account.kvno is not None and kvno != account.kvno:
        told = f"{account.name} has kvno {account.kvno}, and the KDC makes tickets with kvno {kvno}"
        yield warning(told, "The domain controllers do not have the same yet.", "repadmin /showrepl")
    if not faults and not account.is_rc4_only and account.enctypes is not None:
        yield ok(f"{account.name} can be used, kvno {account.kvno}")


async def probe(sight: Sight) -> Found:
    """The account of the probe."""
    return list(_probe(await known(sight), sight.one_kerberos()))


def _probe(found: Known, kerberos: Kerberos) -> Iterator[Finding]:
    account = found.probe
    if account is None:
        yield problem(f"no account is {kerberos.table.principal}", repair="principal, letter by letter: case counts")
        return
    faults = list(account.faults(time.time()))
    for reason, command in faults:
        yield problem(f"{account.name} {reason}", repair=command)
    ends = account.ends(time.time())
    if ends is not None and 0 < ends < _SOON:
        told = f"{account.name}: it, or its password, ends in {ends / 86400:.0f} days"
        yield warning(told, repair=f"Set-ADUser {account.short} -PasswordNeverExpires $true")
    yield from _small(found, account)
    if not faults:
        yield ok(f"{account.name} can be used")


def _small(found: Known, account: Account) -> Iterator[Finding]:
    own, most = found.probe_groups, found.largest
    if own is not None and most is not None and most.header > _LARGE and own.header < most.header / 2:
        told = f"{account.name} is in {own.total} groups, and {most.name} is in {most.total}"
        why = "A connector with a small limit of headers passes the check, and refuses the large user."
        yield warning(told, why, f"put {account.short} in the groups of {most.name}, or in as many")


async def tokens(sight: Sight) -> Found:
    """How large the largest ticket is, beside max_header_size and what the backends take."""
    from lbproxy.doctor.balancer.heads import measured

    found = await known(sight)
    if found.largest is None:
        return [unseen("the directory does not tell the groups of users")]
    most = found.largest
    of = f"{found.users} users" if found.all_users else f"the first {found.users} users"
    told = f"{most.name} is in {most.total} groups, the most of {of}: a header of some {most.header} bytes"
    limits = await measured(sight)
    small = [one for one in limits if one.limit < most.header + 1024]
    if not small:
        return [ok(told)]
    return [problem(f"{told}; it takes {one.limit} bytes", repair=one.repair, subject=one.subject) for one in small]
