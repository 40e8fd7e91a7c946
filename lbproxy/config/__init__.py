"""The configuration file: TOML in, frozen and validated models out, every problem at once.

A file passes these steps; each is a module, and none stops at its first problem:

    toml         reads the file's text, and parses it as TOML
    loading      runs the steps, raises one ConfigError with every problem
    environment  ${NAME} and ${NAME-default} in strings become values; empty entries are left out
    models       what each table may hold and its defaults (pydantic); `units` and `addresses` read single values
    lines        on which line a key stands
    checks       what only two keys together can get wrong

`admin_bind` reads that key alone (`admin_default` says where that is without it), for commands that must work while the
rest of the file is wrong, and `fleet_alone` reads that table alone, beside a connector.
`keys` writes a key's full name and `messages` turns pydantic's errors into an administrator's words.

What needs the models is imported when it is first used: they take 0.15 s, which a command that asks a running balancer
does without.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lbproxy.config.addresses import Address, Network
from lbproxy.config.admin_bind import AdminBind, admin_bind

if TYPE_CHECKING:
    from lbproxy.config.fleet_alone import fleet
    from lbproxy.config.loading import load
    from lbproxy.config.models import (
        AccessLog,
        Admin,
        AdminWeb,
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
        Log,
        Mint,
        Pool,
        PoolTls,
        Tracing,
    )
    from lbproxy.config.models.values import is_name
else:  # a type checker would take any name for one of these

    def __getattr__(name: str) -> object:
        """What is imported later (PEP 562). No module of this package has the name of one of them, and hides it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'models')}"), name)
        globals()[name] = found
        return found

    _ELSEWHERE = {"fleet": "fleet_alone", "load": "loading", "is_name": "models.values"}

__all__ = [
    "AccessLog",
    "Address",
    "Admin",
    "AdminBind",
    "AdminWeb",
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
    "Log",
    "Mint",
    "Network",
    "Pool",
    "PoolTls",
    "Tracing",
    "admin_bind",
    "fleet",
    "is_name",
    "load",
]
