"""How soon a generation that died is replaced."""

from __future__ import annotations

WINDOW = 60.0
"""Seconds that a death is remembered."""

LOUD = 3
"""So many deaths in WINDOW are no accident."""

LONGEST = 30.0
"""Seconds between two attempts at most: whatever it is may be repaired from outside."""


class RestartBackoff:
    """Deaths of generations, at monotonic seconds."""

    def __init__(self) -> None:
        self._deaths: list[float] = []

    def __repr__(self) -> str:
        return f"<{len(self._deaths)} restart_backoff>"

    def happened(self, now: float) -> tuple[int, float]:
        """One more at `now`: how many that makes in WINDOW, and after how many seconds to try again.

        After the first one at once: users wait. Then 1, 2, 4 ... seconds.
        """
        self._deaths = [at for at in self._deaths if now - at < WINDOW] + [now]
        count = len(self._deaths)
        return count, 0.0 if count == 1 else min(2.0 ** (count - 2), LONGEST)
