"""The checks that run on a balancer's host, by its configuration.

sight          what they look at: the configuration, the running balancer, the probe's sign-in; each is asked once
configuration  the file, and all that it names, as `lbproxy check` judges it
running        what the running balancer says of itself and of its backends
names          the name of server_url, as browsers and Kerberos see it; who answers there
realm          krb5.conf, the KDCs, their clocks
account        the probe's account
keys           the service's ticket beside the keytabs; encryption types
heads          the largest head that each backend takes, beside max_header_size
directory      who has the SPN, the accounts, and how large tickets are, over LDAP
protection     channel bindings
host           descriptors
ports          the backends' ports, as other hosts see them
browsers       the policies that browsers need
"""

from __future__ import annotations

from functools import partial

from lbproxy.doctor.balancer import (
    account,
    browsers,
    configuration,
    directory,
    heads,
    host,
    keys,
    names,
    ports,
    protection,
    realm,
    running,
)
from lbproxy.doctor.balancer.sight import Asked, Sight
from lbproxy.doctor.finding import Check


def balancer_checks(asked: Asked) -> list[Check]:
    """In the order in which people read them."""
    sight = Sight(asked)
    checks = [
        Check("configuration", "balancer", configuration.WHY, partial(configuration.files, asked)),
        Check("expiry", "balancer", configuration.WHY_EXPIRY, partial(configuration.expiries, asked)),
        Check("running", "balancer", running.WHY, partial(running.state, sight)),
        Check("backends", "balancer", running.WHY_BACKENDS, partial(running.backends, sight)),
        Check("consistency", "balancer", running.WHY_CONSISTENCY, partial(running.consistency, sight)),
        Check("descriptors", "balancer", host.WHY, partial(host.descriptors, sight)),
        Check("name", "names", names.WHY, partial(names.forward, sight)),
        Check("reverse name", "names", names.WHY_REVERSE, partial(names.reverse, sight)),
        Check("who answers", "names", names.WHY_ANSWERS, partial(names.answers, sight)),
        Check("ports from elsewhere", "names", ports.WHY, partial(ports.from_elsewhere, sight)),
        Check("large tickets", "limits", heads.WHY, partial(heads.limits, sight)),
        Check("channel bindings", "limits", protection.WHY, partial(protection.bindings, sight)),
    ]
    if sight.kerberos:
        checks += _kerberos_checks(sight)
    return checks


def _kerberos_checks(sight: Sight) -> list[Check]:
    return [
        Check("krb5.conf", "kerberos", realm.WHY_CONF, partial(realm.configuration, sight)),
        Check("kdcs", "kerberos", realm.WHY_KDCS, partial(realm.kdcs, sight)),
        Check("probe account", "kerberos", account.WHY, partial(account.signs_in, sight)),
        Check("service key", "kerberos", keys.WHY, partial(keys.ticket, sight)),
        Check("keytabs", "kerberos", keys.WHY_KEYTABS, partial(keys.keytabs, sight)),
        Check("SPN", "directory", directory.WHY, partial(directory.spn, sight)),
        Check("service account", "directory", directory.WHY_SERVICE, partial(directory.service, sight)),
        Check("probe's account", "directory", directory.WHY_PROBE, partial(directory.probe, sight)),
        Check("largest ticket", "directory", directory.WHY_TOKENS, partial(directory.tokens, sight)),
        Check("browser policies", "browsers", browsers.WHY, partial(browsers.policies, sight)),
    ]
