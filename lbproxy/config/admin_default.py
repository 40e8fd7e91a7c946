"""The default of `admin.bind`: where lbproxy has the rights to listen, and where its commands look for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lbproxy.config.addresses import Address

SYSTEM = Path("/run/lbproxy/admin.sock")
"""The place of a service. It is also the answer where no place fits, so that errors name the usual one."""


def admin_default(environ: Mapping[str, str] = os.environ) -> Address:
    """The first place where a balancer is that this process may ask; without one, the first where it may listen.

    The places are /run/lbproxy and, for processes of a user, $XDG_RUNTIME_DIR/lbproxy (XDG Base Directory
    Specification) and, as not every session has that, ~/.lbproxy. The rule is the same for the balancer and for its
    commands, so they meet.
    """
    places = [SYSTEM]
    for name, folder in (("XDG_RUNTIME_DIR", "lbproxy"), ("HOME", ".lbproxy")):
        if (above := environ.get(name, "")).startswith("/"):
            places.append(Path(above, folder, SYSTEM.name))
    for path in places:
        if path.is_socket() and os.access(path, os.W_OK):
            return Address(path=path)
    fit = (path for path in places if _may_hold(path.parent))
    return Address(path=next(fit, SYSTEM))


def _may_hold(directory: Path) -> bool:
    """Whether this process may make a socket in the directory, which is made if only it is missing."""
    there = directory if directory.is_dir() else directory.parent
    return os.access(there, os.W_OK | os.X_OK)
