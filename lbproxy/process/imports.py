"""How a process that goes on running imports what it needs: quickly."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_WITHIN = {"SSL_CERT_FILE": os.devnull, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""Where OpenSSL looks for the system's authorities, if not where it was built to look; and which plugins are left."""

COLLECT_AFTER = 10_000
"""New objects until the garbage collector looks through them. Python's own number, 700, is a dozen logins: it would
look through the open ones again and again. What it finds are the rare cycles; all else goes by reference counts."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import within it: it leaves out work that nothing here needs, a sixth of the start of a generation.

    Modules, classes and functions stay for good, so the garbage collector does not look through them, now or later.
    aiohttp reads the system's authorities twice, for connections that are given no context. lbproxy gives each its own
    context, made after the imports, so at this moment OpenSSL finds an empty file. pydantic asks every package of the
    machine whether it is a plugin of its; none has a part in what a configuration means.
    """
    before = {name: os.environ.get(name) for name in _WITHIN}
    os.environ.update(_WITHIN)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(COLLECT_AFTER)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
