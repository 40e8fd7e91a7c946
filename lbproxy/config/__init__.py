"""The configuration file: TOML in, frozen and validated models out, every problem at once.

A file passes these steps; each is a module, and none stops at its first problem:

    load         reads the TOML, runs the steps, raises one ConfigError with every problem
    environment  ${NAME} and ${NAME-default} in strings become values; empty entries are left out
    models       what each table may hold and its defaults (pydantic); `units` and `addresses` read single values
    lines        on which line a key stands
    checks       what only two keys together can get wrong

`admin_bind` reads that key alone, for commands that must work while the rest of the file is wrong, and `fleet_alone`
reads that table alone, beside a connector.
`keys` writes a key's full name and `messages` turns pydantic's errors into an administrator's words.
"""

from lbproxy.config.addresses import Address, Network
from lbproxy.config.admin_bind import AdminBind, admin_bind
from lbproxy.config.fleet_alone import fleet
from lbproxy.config.load import load
from lbproxy.config.models import (
    AccessLog,
    Admin,
    Backend,
    CertificatePair,
    Check,
    Config,
    Consistency,
    Discover,
    Fact,
    Fleet,
    KerberosCheck,
    Listener,
    ListenerTls,
    Mint,
    Pool,
    PoolTls,
)
from lbproxy.config.models.values import is_name

__all__ = [
    "AccessLog",
    "Address",
    "Admin",
    "AdminBind",
    "Backend",
    "CertificatePair",
    "Check",
    "Config",
    "Consistency",
    "Discover",
    "Fact",
    "Fleet",
    "KerberosCheck",
    "Listener",
    "ListenerTls",
    "Mint",
    "Network",
    "Pool",
    "PoolTls",
    "admin_bind",
    "fleet",
    "is_name",
    "load",
]
