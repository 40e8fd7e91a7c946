"""What the log says when something has changed: which fact differs where, who leaves the rotation, what is unknown."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lbproxy.balance.consistency import Difference, Verdict
from lbproxy.control.consistency.reading import Reading
from lbproxy.control.log import event

log = logging.getLogger(__name__)


def tell_differences(pool: str, before: Verdict, now: Verdict) -> None:
    """Each fact that differs otherwise than before, with every value and whose it is, and each that agrees again."""
    told = {one.fact: one for one in before.differences}
    for one in now.differences:
        earlier = told.pop(one.fact, None)
        if earlier is None or _essence(earlier) != _essence(one):
            event(
                log, logging.WARNING, "facts_differ", pool=pool, fact=one.fact, backends=",".join(one.names),
                expected=one.reference if one.expected else None, detail=str(one),
            )  # fmt: skip
    for fact in told:
        event(log, logging.INFO, "facts_agree", pool=pool, fact=fact)


def _essence(difference: Difference) -> tuple[str | None, dict[str, str]]:
    """Without those that are right: one more of them is no news."""
    return difference.reference, {name: difference.values[name] for name in difference.names}


def tell_rotation(pool: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """before, now: the backends that the guard keeps out of rotation, and why."""
    for name, why in now.items():
        if name not in before:
            event(log, logging.WARNING, "backend_ejected", pool=pool, backend=name, reason="consistency", detail=why)
    for name in before:
        if name not in now:
            event(log, logging.INFO, "backend_readmitted", pool=pool, backend=name, reason="consistency")


def tell_trouble(pool: str, backend: str, before: Mapping[str, Reading], now: Mapping[str, Reading]) -> None:
    """Each fact that cannot be read, when that is new or has another cause than before."""
    for fact, reading in now.items():
        if reading.trouble and (fact not in before or reading.trouble != before[fact].trouble):
            event(log, logging.WARNING, "fact_unknown", pool=pool, backend=backend, fact=fact, detail=reading.trouble)
