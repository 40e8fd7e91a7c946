"""The few things that everything here asks of GSS-API. Importing it raises MissingExtraError without gssapi."""

from __future__ import annotations

from collections.abc import Mapping

from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.libkrb5 import ERRORS
from lbproxy.errors import MissingExtraError

__all__ = [
    "FAILURES",
    "KRB5",
    "MUTUAL",
    "PLAIN",
    "PRINCIPAL",
    "SPNEGO",
    "GSSError",
    "context",
    "credentials",
    "failure",
    "gssapi",
    "store",
    "text",
]

try:
    import gssapi
    from gssapi.raw import GSSError
except ImportError as error:
    raise MissingExtraError("a Kerberos check", "kerberos") from error

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
PRINCIPAL = gssapi.NameType.kerberos_principal
MUTUAL = gssapi.RequirementFlag.mutual_authentication
PLAIN = gssapi.RequirementFlag.integrity  # one without mutual authentication is complete after its first token

FAILURES: Mapping[int, Failure] = {  # by the numbers of RFC 4120 section 7.5.9, and MIT's own from 128 on
    14: Failure.ENCTYPE,  # KDC_ERR_ETYPE_NOSUPP
    37: Failure.KDC_SKEW,  # KRB_AP_ERR_SKEW
    148: Failure.KDC_SKEW,  # KRB5_KDCREP_SKEW
    150: Failure.ENCTYPE,  # KRB5_PROG_ETYPE_NOSUPP
    154: Failure.KDC_UNREACHABLE,  # KRB5_REALM_UNKNOWN: no KDC is configured for it, nor in DNS
    156: Failure.KDC_UNREACHABLE,  # KRB5_KDC_UNREACH
    220: Failure.KDC_UNREACHABLE,  # KRB5_REALM_CANT_RESOLVE
    237: Failure.ENCTYPE,  # KRB5_CONFIG_ETYPE_NOSUPP
}


def context(
    cache: str, target: gssapi.Name, mechanism: gssapi.OID, flags: gssapi.RequirementFlag
) -> gssapi.SecurityContext:
    """One that presents a ticket out of `cache`, or one that can be had with what is there."""
    return gssapi.SecurityContext(
        name=target, creds=credentials(cache, mechanism), mech=mechanism, flags=flags, usage="initiate"
    )


def credentials(cache: str, mechanism: gssapi.OID = KRB5) -> gssapi.Credentials:
    """What is in `cache`."""
    return gssapi.Credentials(usage="initiate", mechs=[mechanism], store={"ccache": cache})


def store(held: gssapi.Credentials, cache: str) -> None:
    """Make `cache` hold them, and nothing else."""
    held.store(store={"ccache": cache}, usage="initiate", mech=KRB5, overwrite=True)


def failure(error: GSSError, failures: Mapping[int, Failure]) -> KerberosFailure:
    """The row of `failures` for GSS-API's `error`."""
    number = (error.min_code - ERRORS) & 0xFFFFFFFF  # GSS-API's minor code is unsigned
    return KerberosFailure(failures.get(number, Failure.KDC_REFUSED), text(error))


def text(error: GSSError) -> str:
    """The mechanism's own words, without GSS-API's general ones."""
    return "; ".join(error.get_all_statuses(error.min_code, False))
