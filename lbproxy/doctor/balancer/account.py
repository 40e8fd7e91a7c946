"""The account of the probe: whether it can sign in, and its keytab."""

from __future__ import annotations

from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.doctor.balancer.sight import Kerberos, Sight, remedy
from lbproxy.doctor.finding import Finding, Found, ok, problem

WHY = "The Kerberos check cannot see whether connectors take tickets; users may be well all the same."


async def signs_in(sight: Sight) -> Found:
    """Of each pool with a Kerberos check; it is asked once, because a wrong key counts as a failed sign-in."""
    return [await _signs_in(one) for one in sight.kerberos.values()]


async def _signs_in(kerberos: Kerberos) -> Finding:
    principal, subject = kerberos.table.principal, f"pool {kerberos.pool}"
    try:
        await kerberos.signed_in.get()
    except KerberosFailure as failure:
        return problem(f"{principal}: {failure}", repair=remedy(failure.failure), subject=subject)
    return ok(f"{principal} signs in", subject)
