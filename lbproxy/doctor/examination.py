"""All checks at once, each within its time; one that crashes or hangs is reported as such, and the others go on."""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, cast

from lbproxy.doctor.finding import Check, Finding, Found, Outcome, UnseenError, unseen
from lbproxy.doctor.threads import DaemonThreads
from lbproxy.errors import LbproxyError

WITHIN = 8.0
"""Seconds that a check may take: they run side by side, so the whole takes hardly longer."""

_SEVERITY = (Outcome.PROBLEM, Outcome.WARNING, Outcome.UNSEEN, Outcome.OK)


class Result(NamedTuple):
    """What a check found, and how long it took, in seconds."""

    check: Check
    findings: Sequence[Finding]
    took: float

    @property
    def outcome(self) -> Outcome:
        """The worst of its findings; a check without any had nothing to look at."""
        return min((one.outcome for one in self.findings), key=_SEVERITY.index, default=Outcome.OK)


Told = Callable[[Result], None]


def examine(checks: Sequence[Check], told: Told = lambda result: None, within: float = WITHIN) -> list[Result]:
    """The results in the order of `checks`; `told` gets each when it is there. Returns though threads may hang."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(DaemonThreads())
        return runner.run(_all(checks, told, within))


async def _all(checks: Sequence[Check], told: Told, within: float) -> list[Result]:
    return list(await asyncio.gather(*(_one(check, told, within) for check in checks)))


async def _one(check: Check, told: Told, within: float) -> Result:
    began = time.perf_counter()
    try:
        findings = await _look(check, within)
    except Exception as error:
        findings = [_crash(error)]
    result = Result(check, [_explained(one, check) for one in findings], time.perf_counter() - began)
    told(result)
    return result


def _explained(found: Finding, check: Check) -> Finding:
    needs = found.outcome in (Outcome.WARNING, Outcome.PROBLEM) and not found.why
    return found._replace(why=check.why) if needs else found


async def _look(check: Check, within: float) -> list[Finding]:
    limit = asyncio.timeout(within)
    try:
        async with limit:
            if inspect.iscoroutinefunction(check.look):
                return list(await cast(Awaitable[Found], check.look()))
            return await asyncio.to_thread(lambda: list(cast(Found, check.look())))
    except TimeoutError:
        if limit.expired():
            return [unseen(f"no answer within {within:g} s")]
        raise
    except UnseenError as error:
        return [error.finding()]
    except LbproxyError as error:
        return [unseen(str(error))]


def _crash(error: Exception) -> Finding:
    """A fault of the check's own: its place, and never a value, which might be a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return unseen(f"the check crashed: {type(error).__name__} in {place.name}, line {place.lineno}")
