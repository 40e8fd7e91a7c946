"""Threads beside the event loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def start_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """A thread that calls `run`. It does not keep the process: what it waits for may never come."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    # A signal that the main thread has blocked must wait for it, and not come to this one (signal(7)).
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
