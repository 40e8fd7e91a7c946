"""What a case showed, counted from the users' records, the connectors' journals and the watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import ceil

from bench.failure.traffic import OK, Record

PAUSE = 0.25  # seconds without anything sent to the victim: some forty turns of 500 requests/s over three


@dataclass(frozen=True, slots=True)
class Window:
    """When the fault began and ended, and when the last request was due; all monotonic."""

    begin: float
    end: float
    last: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of requests; times in seconds.

    posts_unreached     POSTs that failed although no connector had got them
    posts_twice         POSTs that connectors got more than once
    p50, p99            of the GETs that were due during the fault, failed ones included
    eject               from the fault until the proxy sent the victim nothing for PAUSE; None: it never stopped
    readmit             from the recovery until the proxy sent the victim something again; None: it did not, or had
                        never stopped
    watched             whether eject and readmit could be seen
    kinds               how requests failed
    """

    gets: int
    gets_failed: int
    posts: int
    posts_failed: int
    posts_unreached: int
    posts_twice: int
    p50: float
    p99: float
    eject: float | None
    readmit: float | None
    watched: bool
    kinds: dict[str, int]


def figures(
    records: Sequence[Record], journals: Iterable[Sequence[int]], window: Window, seen: Sequence[float] | None
) -> Figures:
    """`journals` hold the numbers of the requests that each connector ran; `seen` is what the watch saw, if there was
    one.
    """
    runs = Counter(chain.from_iterable(journals))
    gets = [record for record in records if record.method == "GET"]
    posts = [record for record in records if record.method == "POST"]
    failed = [record for record in posts if record.end != OK]
    during = sorted(record.took for record in gets if window.begin <= record.due < window.end)
    eject = None if seen is None else ejected(seen, window)
    return Figures(
        gets=len(gets),
        gets_failed=sum(record.end != OK for record in gets),
        posts=len(posts),
        posts_failed=len(failed),
        posts_unreached=sum(record.number not in runs for record in failed),
        posts_twice=sum(runs[record.number] > 1 for record in posts),
        p50=percentile(during, 50),
        p99=percentile(during, 99),
        eject=eject,
        readmit=None if seen is None or eject is None else readmitted(seen, window),
        watched=seen is not None,
        kinds=dict(Counter(f"{record.method} {record.end}" for record in records if record.end != OK)),
    )


def ejected(seen: Sequence[float], window: Window) -> float | None:
    """Seconds from the fault to the first pause; None when there was none before the recovery."""
    before = [time for time in seen if time < window.begin][-1:] or [window.begin]
    during = [time for time in seen if window.begin <= time < window.end]
    for earlier, later in pairwise([*before, *during, window.end]):
        if later - max(earlier, window.begin) >= PAUSE:
            return max(0.0, earlier - window.begin)
    return None


def readmitted(seen: Sequence[float], window: Window) -> float | None:
    """Seconds from the recovery to the first attempt after it; None when there was none while users asked."""
    after = [time for time in seen if window.end <= time <= window.last]
    return after[0] - window.end if after else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the sorted `values` that so many percent are not above; 0 when there are none."""
    return values[max(0, ceil(len(values) * percent / 100) - 1)] if values else 0.0


def before_the_fault(records: Collection[Record], window: Window) -> list[Record]:
    """What failed although nothing was wrong yet: with such a case something else is wrong."""
    return [record for record in records if record.end != OK and record.due + record.took < window.begin]
