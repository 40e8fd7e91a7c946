"""What a configuration looks like to another account: a child process becomes it, and opens the files.

That asks the kernel, so it covers groups, access lists, and every directory on the way. The child is gone afterwards.
"""

from __future__ import annotations

import importlib
import os
import pickle
import traceback
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from lbproxy.config import load
from lbproxy.errors import ConfigError, LbproxyError, MissingExtraError, StartError
from lbproxy.preflight import Report, inspect
from lbproxy.process.generation.privileges import Account, assume, become

_NEEDED_LATER = ("encodings.idna", "lbproxy.control.probes.kerberos.credentials")
"""Modules that are loaded when they are needed, which the other account may not be able to read where this one can."""


def inspect_as(account: Account, path: Path, now: datetime, made_at_start: tuple[Path, ...] = ()) -> Report:
    """`inspect` for the file at `path`, which is read by `account` too. Only root can do that for another account.

    Raises ConfigError when the account cannot read the file, and StartError when it cannot be looked as.
    """
    for module in _NEEDED_LATER:
        with suppress(MissingExtraError):
            importlib.import_module(module)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _tell(writing, account, path, now, made_at_start)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        content = answer.read()
    os.waitpid(child, 0)
    if not content:
        raise StartError(f"the process that looks as {account.user!r} ended without a word")
    found = pickle.loads(content)  # it comes from our own child
    if isinstance(found, Report):
        return found
    raise ConfigError(*found) if isinstance(found, tuple) else StartError(found)


def _tell(writing: int, account: Account, path: Path, now: datetime, made_at_start: tuple[Path, ...]) -> NoReturn:
    """The child: whatever happens, it ends here, and runs nothing of what its parent has planned for its own end."""
    answer: Report | tuple[str, tuple[object, ...]] | str
    try:
        become(account)
        config = load(path)
        answer = inspect(config, now, partial(assume, config), made_at_start)
    except ConfigError as error:
        answer = (error.path, error.problems)
    except LbproxyError as error:
        answer = str(error)
    except BaseException:
        answer = traceback.format_exc()
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)
