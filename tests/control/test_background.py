from __future__ import annotations

import signal
import threading

from lbproxy.control.background import start_thread


def test_it_is_no_obstacle_to_the_end_and_takes_no_signal() -> None:
    seen: list[set[int | signal.Signals]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    thread = start_thread(lambda: seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "a name")
    thread.join()
    assert (thread.daemon, thread.name) == (True, "a name")
    assert {signal.SIGTERM, signal.SIGHUP, signal.SIGINT} <= seen[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert thread not in threading.enumerate()
