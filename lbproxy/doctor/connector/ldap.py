"""The directory as the connector uses it: TLS, the sign-in of its account, and a search below LDAP_BASE."""

from __future__ import annotations

import asyncio
import ssl
from importlib.util import find_spec
from urllib.parse import urlsplit

from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.connect import connect, shake_hands
from lbproxy.doctor.connector import trust
from lbproxy.doctor.connector.sight import Settings, Sight
from lbproxy.doctor.directory.apart import apart
from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.questions import finds_users
from lbproxy.doctor.directory.session import Simple
from lbproxy.doctor.finding import Finding, Found, UnseenError, ok, problem, unseen, warning
from lbproxy.errors import MissingExtraError
from lbproxy.instance.kinds.auth0_keys import ldap_password
from lbproxy.instance.model import Area, find

WHY = "No user can sign in, and the connector ends."
WHY_TLS = "The connector does not start, or passwords cross the network in plain text."

_WITHIN = 3.0  # seconds for the connection
_SEARCH = 6.0  # seconds for the sign-in and the searches
_PORTS = {"ldap": 389, "ldaps": 636}


async def tls(sight: Sight) -> Found:
    """The connection to LDAP_URL."""
    settings = await sight.settings()
    scheme, host, port = _place(settings)
    try:
        async with asyncio.timeout(_WITHIN):
            if scheme == "ldap":
                (await connect(host, port)).close()
                told = f"{host} port {port} accepts connections, and is not encrypted"
                why = "Passwords of users cross the network in plain text."
                return [warning(told, why, f'"LDAP_URL": "ldaps://{host}" in config.json, then restart the connector')]
            shown = await shake_hands(host, port, await asyncio.to_thread(trust.context, settings), host)
    except ssl.SSLCertVerificationError as error:
        repair = "SSL_CA_PATH with the authority's certificate as PEM; LDAP_URL with the name in the certificate"
        return [problem(f"{host} port {port}: {describe(error)}", repair=repair)]
    except OSError as error:
        told = f"no answer within {_WITHIN:g} s" if isinstance(error, TimeoutError) else describe(error)
        return [problem(f"{host} port {port}: {told}", repair=f"nc -vz {host} {port}; LDAP_URL; the firewall")]
    return [ok(f"{host} port {port} speaks {shown.version}, and its certificate is believed")]


async def search(sight: Sight) -> Found:
    """The sign-in and the heartbeat of the connector."""
    settings = await sight.settings()
    scheme, host, port = _place(settings)
    if find_spec("bonsai") is None:
        raise MissingExtraError("LDAP", "doctor")
    return [await _search(settings, f"{scheme}://{host}:{port}", _credentials(settings))]


async def _search(settings: Settings, url: str, credentials: Simple) -> Finding:
    base = settings.text("LDAP_BASE")
    queries = [settings.text(name) for name in ("LDAP_HEARTBEAT_SEARCH_QUERY", "LDAP_SEARCH_ALL_QUERY")]
    pem = await asyncio.to_thread(trust.bundle, settings)
    try:
        if not await apart(_SEARCH, {}, finds_users, url, *credentials, pem, base, *queries):
            return _nobody(base, settings)
    except DirectoryError as error:
        return _no_session(credentials, url, error)
    return ok(f"{credentials.user or 'an anonymous connection'} signs in, and finds users below {base}")


def _nobody(base: str, settings: Settings) -> Finding:
    told = f"LDAP_BASE {base}: nobody is found there ({settings.text('LDAP_SEARCH_ALL_QUERY')})"
    return problem(told, repair="LDAP_BASE and LDAP_SEARCH_ALL_QUERY in config.json; the rights of the account")


def _no_session(credentials: Simple, url: str, error: DirectoryError) -> Finding:
    if error.refused:
        repair = "LDAP_BIND_USER; set LDAP_BIND_PASSWORD in config.json and restart: it is encrypted then"
        return problem(f"{credentials.user} cannot sign in: {error}", repair=repair)
    return unseen(f"{url}: {error}", "the check of LDAP over TLS")


def _credentials(settings: Settings) -> Simple:
    """Raises UnseenError."""
    if settings.text("ANONYMOUS_SEARCH_ENABLED"):
        return Simple("", "")
    user, plain = settings.text("LDAP_BIND_USER"), settings.text("LDAP_BIND_PASSWORD")
    if plain:
        return Simple(user, plain)
    key = find(settings.files, Area.INSTANCE, "certs/cert.key")
    content = settings.text("AUTH_CERT_KEY").encode() or (b"" if key is None else key.content)
    password = ldap_password(settings.text("LDAP_BIND_CREDENTIALS"), content) if user else None
    if not password:
        raise UnseenError("LDAP_BIND_USER has no password that can be decrypted")
    return Simple(user, password)


def _place(settings: Settings) -> tuple[str, str, int]:
    """Scheme, host and port of LDAP_URL. Raises UnseenError."""
    parts = urlsplit(settings.text("LDAP_URL"))
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1:
        raise UnseenError("LDAP_URL is not set, or no URL with ldap:// or ldaps://", "set it in config.json")
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]
