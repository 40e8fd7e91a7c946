"""The realm as this host finds it: krb5.conf, its KDCs, and their clocks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import NamedTuple

from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.kerberos.failures import clock_difference
from lbproxy.doctor.balancer.sight import Kerberos, Sight
from lbproxy.doctor.finding import Finding, Found, ok, problem, warning
from lbproxy.doctor.kerberos.kdc import Answer, ask_kdc
from lbproxy.doctor.kerberos.krb5_conf import Krb5Conf, read_krb5_conf

WHY_CONF = "The Kerberos library goes by it: names, KDCs and encryption types."
WHY_KDCS = "Without a KDC nobody gets a new ticket; a clock that is 5 minutes off makes every ticket invalid."

_WITHIN = 3.0  # seconds for a KDC
_TOLERATED, _DOUBTFUL = 300.0, 60.0  # seconds of clock skew: RFC 4120's custom, and what is worth a look
_WORD = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?")


def configuration(sight: Sight) -> Iterator[Finding]:
    """krb5.conf."""
    conf = read_krb5_conf()
    kerberos = sight.one_kerberos()
    for trouble in conf.troubles:
        yield warning(trouble, repair="ls -l; KRB5_CONFIG names another file")
    faults = list(_names(conf)) + list(_kdcs(conf, kerberos)) + list(_enctypes(conf))
    yield from faults
    if not conf.troubles and not faults:
        yield ok(f"{', '.join(map(str, conf.paths))}: names are taken as written, and {kerberos.realm} is known")


def _names(conf: Krb5Conf) -> Iterator[Finding]:
    why = "Libraries replace the name by what DNS says, and ask for the ticket of another service."
    if conf.setting("dns_canonicalize_hostname") != "fallback" and conf.flag("dns_canonicalize_hostname", True):
        told = "dns_canonicalize_hostname is true, which is its default"
        yield warning(told, why, "dns_canonicalize_hostname = false in [libdefaults] of krb5.conf")
        if conf.flag("rdns", True):
            yield warning("rdns is true, which is its default", why, "rdns = false in [libdefaults] of krb5.conf")


def _kdcs(conf: Krb5Conf, kerberos: Kerberos) -> Iterator[Finding]:
    realm = kerberos.realm
    if not conf.kdcs(realm) and not conf.flag("dns_lookup_kdc", True):
        repair = f"kdc = HOST for {realm} in [realms] of krb5.conf, or dns_lookup_kdc = true"
        yield problem(f"{realm} has no kdc, and dns_lookup_kdc is false", repair=repair)
    if realm != realm.upper():
        yield warning(f"the realm {realm} is not in capitals", "Realms of Active Directory are.", "check the principal")
    default = conf.setting("default_realm")
    if default and default != realm:
        yield warning(
            f"default_realm is {default}, and the probe's realm is {realm}",
            "Names without a realm are looked for in the other one.",
            f"default_realm = {realm} in krb5.conf, if the connectors' users are there",
        )


def _enctypes(conf: Krb5Conf) -> Iterator[Finding]:
    for name in ("permitted_enctypes", "default_tgs_enctypes", "default_tkt_enctypes"):
        words = re.split(r"[\s,]+", conf.setting(name).lower())
        if words != [""] and not any(word.startswith(("aes", "default")) for word in words):
            why = "Directories that refuse RC4 give no ticket then."
            yield warning(f"{name} has no AES: {conf.setting(name)}", why, f"take {name} out of krb5.conf")


class Place(NamedTuple):
    """Where a KDC is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if ":" not in self.host else f"[{self.host}]:{self.port}"


async def kdcs(sight: Sight) -> Found:
    """Each KDC of the realm: whether it answers, and its clock."""
    kerberos = sight.one_kerberos()
    places = await find_kdcs(sight, kerberos.realm)
    if not places:
        repair = f"dig SRV _kerberos._tcp.{kerberos.realm}; or kdc = HOST in [realms] of krb5.conf"
        return [problem(f"no KDC of {kerberos.realm} is found, in krb5.conf and in DNS", repair=repair)]
    answers = await asyncio.gather(*(_ask(place, kerberos.table.principal) for place in places))
    alive = any(isinstance(answer, Answer) for answer in answers)
    return [_finding(place, answer, alive) for place, answer in zip(places, answers, strict=True)]


async def find_kdcs(sight: Sight, realm: str) -> list[Place]:
    """Of krb5.conf, else of DNS (RFC 4120 section 7.2.3.2). Raises UnseenError."""
    conf = await asyncio.to_thread(read_krb5_conf)
    written = [_place(word) for word in conf.kdcs(realm)]
    if written or not conf.flag("dns_lookup_kdc", True):
        return [place for place in written if place is not None]
    return await srv(sight, f"_kerberos._tcp.{realm}.")


async def srv(sight: Sight, name: str) -> list[Place]:
    """What the SRV records of a name say; none if there are none. Raises UnseenError."""
    records = (await sight.ask(name, "SRV")).records
    found = sorted(records or (), key=lambda record: (record.priority, -record.weight))
    return [Place(str(record.target).rstrip("."), record.port) for record in found]


def _place(word: str) -> Place | None:
    match = _WORD.fullmatch(word.removeprefix("tcp/").removeprefix("udp/"))
    return None if match is None else Place(match[1] or match[2], int(match[3] or 88))


async def _ask(place: Place, principal: str) -> Answer | str:
    try:
        async with asyncio.timeout(_WITHIN):
            return await ask_kdc(place.host, place.port, principal)
    except TimeoutError:
        return f"no answer within {_WITHIN:g} s"
    except OSError as error:
        return describe(error)
    except ValueError as error:
        return str(error)


def _finding(place: Place, answer: Answer | str, alive: bool) -> Finding:
    if isinstance(answer, str):
        repair = f"nc -vz {place.host} {place.port}; the firewall; take a KDC that is gone out of krb5.conf and DNS"
        kind = warning if alive else problem
        why = "Sign-ins wait for it before they go on to the next." if alive else ""
        return kind(f"{place}: {answer}", why, repair)
    if answer.skew is None:
        return ok(f"{place}: answers; it does not say its time")
    if abs(answer.skew) < 1:
        return ok(f"{place}: answers, and its clock is right to a second")
    told = f"{place}: its clock is {clock_difference(answer.skew)} this host's"
    repair = "chronyc tracking; timedatectl set-ntp true, on this host and on the KDC"
    if abs(answer.skew) >= _TOLERATED:
        return problem(told, repair=repair)
    return warning(told, repair=repair) if abs(answer.skew) >= _DOUBTFUL else ok(told)
