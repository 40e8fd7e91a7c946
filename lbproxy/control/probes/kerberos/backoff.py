"""When a KDC that refused something, or did not answer, is asked the same again."""

from __future__ import annotations

RETRY = 5.0  # seconds after the first failure; then twice as long each time ...
LONGEST = 300.0  # ... and at most this long after a refusal: directories count them, and their logs fill
LONGEST_SILENCE = 60.0  # or this long if no KDC answered: nobody has counted anything


class Backoff:
    """`again` is the monotonic second before which nothing is asked."""

    def __init__(self, retry: float = RETRY) -> None:
        self.again = 0.0
        self._retry = retry
        self._wait = 0.0

    def __repr__(self) -> str:
        return f"<backoff {self._wait:g} s>"

    def failed(self, now: float, longest: float = LONGEST) -> None:
        """It was asked at `now`, in vain."""
        self._wait = min(2 * self._wait if self._wait else self._retry, longest)
        self.again = now + self._wait

    def over(self) -> None:
        """It was asked with success, or something has changed: forget what was."""
        self.again = self._wait = 0.0

    def memory(self) -> list[float]:
        """For the next process; see `remember`."""
        return [self.again, self._wait]

    def remember(self, memory: list[float]) -> None:
        """Go on where another one was."""
        self.again, self._wait = memory
