"""What a worker has counted adds up from the parts of its reports."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import Mock

from lbproxy.process.ipc.worker_messages import BackendsCounted, Counted
from lbproxy.process.workers.handle import WorkerHandle
from lbproxy.record import Exemplar


def test_parts_replace_what_they_are_about() -> None:
    worker = WorkerHandle(1, Mock())
    assert worker.counters == {"backends": {}}
    worker.backends_counted(BackendsCounted({"p/a": {"requests": 1}, "p/b": {"requests": 2}}, []))
    worker.has_counted(Counted({"ends": {"done": 3}}, {}, 7))
    worker.backends_counted(BackendsCounted({"p/a": {"requests": 4}}, ["p/b", "p/never"]))
    assert worker.counters == {"ends": {"done": 3}, "backends": {"p/a": {"requests": 4}}}
    assert worker.answered == 7


def test_exemplars_are_those_of_backends_that_are_there() -> None:
    worker, some = WorkerHandle(1, Mock()), [Exemplar(0.1, 10.0, "x", "")]
    worker.backends_counted(BackendsCounted({"p/a": {}, "p/b": {}}, [], {"p/a": some, "p/b": some}))
    worker.backends_counted(BackendsCounted({"p/a": {}}, ["p/b"]))
    assert worker.exemplars == {"p/a": some}


def test_it_is_killed_once() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = WorkerHandle(process.pid, Mock())
    worker.kill()
    assert process.wait() == -9
    worker.kill()
    process.communicate()
