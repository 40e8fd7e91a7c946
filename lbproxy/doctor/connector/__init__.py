"""The checks that run on a connector's host.

sight         what they look at: the installation, and the settings that it goes by
installation  its files as `lbproxy instance` judges them; what differs from another instance; SERVER_URL; large heads
listening     PORT: who listens, and whether it answers
firewall      from where PORT can be reached, by the rules of nftables
tenant        the tenant, its hub, its clock, and the certificate that it knows
ldap          the directory: TLS, sign-in, search
service       what starts it again
"""

from __future__ import annotations

from functools import partial

from lbproxy.doctor import elsewhere
from lbproxy.doctor.connector import firewall, installation, ldap, listening, service, tenant
from lbproxy.doctor.connector.sight import Asked, Sight
from lbproxy.doctor.finding import Check


def connector_checks(asked: Asked) -> list[Check]:
    """In the order in which people read them."""
    sight = Sight(asked)
    checks = [
        Check("installation", "connector", installation.WHY, partial(installation.files, sight)),
        Check("service", "connector", service.WHY, partial(service.restarts, sight)),
        Check("balancer", "connector", elsewhere.WHY_BALANCER, partial(elsewhere.balancer, asked.server_url)),
    ]
    if asked.beside:
        checks.insert(1, Check("beside", "connector", installation.WHY_BESIDE, partial(installation.beside, sight)))
    if asked.kind == "auth0":
        checks += _auth0_checks(sight)
    if asked.kind == "apono":
        checks.append(Check("port", "network", listening.WHY, partial(listening.healthz, sight)))
    if asked.where.keytab is not None:
        checks.append(Check("keytab", "kerberos", installation.WHY_KEYTAB, partial(installation.keytab, sight)))
    return checks


def _auth0_checks(sight: Sight) -> list[Check]:
    return [
        Check("SERVER_URL", "connector", installation.WHY_URL, partial(installation.server_url, sight)),
        Check("large tickets", "connector", installation.WHY_HEADS, partial(installation.heads, sight)),
        Check("PORT", "network", listening.WHY, partial(listening.port, sight)),
        Check("firewall", "network", firewall.WHY, partial(firewall.reach, sight)),
        Check("admin console", "network", listening.WHY_CONSOLE, partial(listening.console, sight)),
        Check("tenant", "tenant", tenant.WHY, partial(tenant.clock, sight)),
        Check("certificate", "tenant", tenant.WHY_CERTIFICATE, partial(tenant.thumbprint, sight)),
        Check("hub", "tenant", tenant.WHY_HUB, partial(tenant.hub, sight)),
        Check("LDAP over TLS", "directory", ldap.WHY_TLS, partial(ldap.tls, sight)),
        Check("LDAP", "directory", ldap.WHY, partial(ldap.search, sight)),
    ]
