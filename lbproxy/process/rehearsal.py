"""What a program does to show that a running master can become it: nothing but to import all, and to read."""

from __future__ import annotations

from lbproxy.process.generation import generation, main  # noqa: F401  # that they can be imported
from lbproxy.process.ipc.master_messages import BETWEEN_GENERATIONS, WITH_GENERATION
from lbproxy.process.ipc.worker_messages import WITH_FORKER, WITH_WORKER
from lbproxy.process.master import main as master  # noqa: F401
from lbproxy.process.master.reexec import read


def rehearse(state: int | None = None) -> None:
    """Raises MessageError, or an error of the import, if the master must not become this program.

    state: the descriptor of what the master would leave to it. Versions whose protocol is 1 pass none.
    """
    for conversation in (WITH_GENERATION, WITH_FORKER, WITH_WORKER):
        conversation.rehearse()
        conversation.reverse().rehearse()
    BETWEEN_GENERATIONS.rehearse()
    if state is not None:
        read(state)
