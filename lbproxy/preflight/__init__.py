"""What a valid configuration names outside itself: does it exist, does it fit, may it be used.

`lbproxy check` prints the report; `run` refuses to start with a problem in it, because TLS that cannot verify its
peer, or a log that cannot be written, must not be found out by a user.

    inspect       every file that a configuration names
    certificates  lbproxy's own certificates, and the authorities that it trusts
    clients       what judges users' certificates, and what is made in their names
    files         logs, sockets and keytabs
    discovery     the files that pools take their backends from
    web           the dashboard on a network
    instances     names of backends that would mislead drain and rollout
    only_root     what root alone can read
    unit_file     the account in a unit of systemd
    report        what was found
"""

from lbproxy.preflight.inspect import inspect
from lbproxy.preflight.report import Expiry, Report

__all__ = ["Expiry", "Report", "inspect"]
