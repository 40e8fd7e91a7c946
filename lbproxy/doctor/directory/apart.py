"""Work in a process of its own, which is killed at its deadline.

OpenLDAP's library has no limit for a handshake of TLS, and bonsai keeps the interpreter's lock while it waits for a
server: in a thread, a directory that says nothing would stop everything. OpenLDAP also reads LDAPSASL_NOCANON when it
is used first, which `session` sets before. So nothing but `apart` runs `questions`.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar, cast

from lbproxy import program
from lbproxy.doctor.directory.errors import DirectoryError

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def apart(
    within: float, environment: Mapping[str, str], work: Callable[_P, _T], *arguments: _P.args, **more: _P.kwargs
) -> _T:
    """What `work`, a function of a module, returns or raises; environment: variables beside those of this process.

    within: seconds. Raises DirectoryError if that is over. Arguments go through a pipe, and no other process sees them.
    """
    with tempfile.TemporaryDirectory(prefix="lbproxy-doctor-") as folder:  # a process that is killed leaves its files
        return await _apart(within, {**environment, "TMPDIR": folder}, work, *arguments, **more)


async def _apart(
    within: float, environment: Mapping[str, str], work: Callable[_P, _T], *arguments: _P.args, **more: _P.kwargs
) -> _T:
    process = await asyncio.create_subprocess_exec(
        *program.command(__name__),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        async with asyncio.timeout(within):
            answer, _ = await process.communicate(pickle.dumps((work, arguments, more)))
    except TimeoutError:
        raise DirectoryError(f"no answer within {within:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not answer:
        raise DirectoryError(f"the process that asks it ended with status {process.returncode}")
    error, value = pickle.loads(answer)
    if error is not None:
        raise error
    return cast(_T, value)


def _main() -> None:
    work, arguments, more = pickle.loads(sys.stdin.buffer.read())
    result: tuple[DirectoryError | None, object]
    try:
        result = None, work(*arguments, **more)
    except DirectoryError as error:
        result = error, None
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    _main()
