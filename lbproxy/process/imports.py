"""How a process that goes on running imports what it needs: quickly."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import cast

_WITHIN = {"SSL_CERT_FILE": os.devnull, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""Where OpenSSL looks for the system's authorities, if not where it was built to look; and which plugins are left."""

COLLECT_AFTER = 10_000
"""New objects until the garbage collector looks through them. Python's own number, 700, is a dozen logins: it would
look through the open ones again and again. What it finds are the rare cycles; all else goes by reference counts."""

_METADATA = "importlib.metadata"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import within it: it leaves out work that nothing here needs, a sixth of the start of a generation.

    Modules, classes and functions stay for good, so the garbage collector does not look through them, now or later.
    aiohttp reads the system's authorities twice, for connections that are given no context. lbproxy gives each its own
    context, made after the imports, so at this moment OpenSSL finds an empty file. pydantic asks every package of the
    machine whether it is a plugin of its; none has a part in what a configuration means. So what it would ask them by
    is not loaded either: with email, csv and zipfile it takes 1.7 MB.
    """
    later = None if _METADATA in sys.modules else _metadata_when_used()
    before = {name: os.environ.get(name) for name in _WITHIN}
    os.environ.update(_WITHIN)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(COLLECT_AFTER)
        if later is not None and sys.modules.get(_METADATA) is later:
            del sys.modules[_METADATA]
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _metadata_when_used() -> ModuleType:
    """In the place of importlib.metadata: it loads the true one when something of it is used.

    importlib's LazyLoader does so as soon as it is imported, and one name is imported and not called.
    """
    module = ModuleType(_METADATA)
    module.__spec__ = ModuleSpec(_METADATA, None)  # an import looks whether it is complete

    def attribute(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)  # an import asks for __path__
        if sys.modules.get(_METADATA) is module:
            del sys.modules[_METADATA]
        return getattr(import_module(_METADATA), name)

    def entry_points(**wanted: str) -> object:
        find = cast("Callable[..., object]", attribute("entry_points"))
        return find(**wanted)

    module.__dict__.update(__getattr__=attribute, entry_points=entry_points)  # PEP 562
    sys.modules[_METADATA] = module
    return module
