"""The tables of the configuration file, with every key's type and default.

    config       the whole file, and [admin]
    log          [log] and [access_log]
    admin_web    [admin.web]
    listener     [listener.NAME] with tls, tls.mint and sni
    pool         [pool.NAME] with tls
    backend      an entry of `backends`
    check        [pool.NAME.check] with kerberos
    consistency  [pool.NAME.consistency] with its facts
    discover     [pool.NAME.discover]
    fleet        [fleet]
    tracing      [tracing]
    table        what all of them share;  `values`: the types of single values

Times are seconds (float), sizes are bytes (int), paths are absolute. A TOML table [listener.NAME] is an entry of
`Config.listeners`. Validation takes a context `Base`, which says where relative paths begin. A rule that needs two
keys is not here but in `lbproxy.config.checks`.
"""

from lbproxy.config.models.admin_web import AdminWeb
from lbproxy.config.models.backend import Backend
from lbproxy.config.models.check import Check, KerberosCheck
from lbproxy.config.models.config import Admin, Config
from lbproxy.config.models.consistency import Consistency, Fact
from lbproxy.config.models.discover import Discover
from lbproxy.config.models.fleet import Fleet
from lbproxy.config.models.listener import CertificatePair, Listener, ListenerTls, Mint
from lbproxy.config.models.log import AccessLog, Log
from lbproxy.config.models.pool import Pool, PoolTls
from lbproxy.config.models.table import Base, Table
from lbproxy.config.models.tracing import Tracing

__all__ = [
    "AccessLog",
    "Admin",
    "AdminWeb",
    "Backend",
    "Base",
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
    "Log",
    "Mint",
    "Pool",
    "PoolTls",
    "Table",
    "Tracing",
]
