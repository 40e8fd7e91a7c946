"""The trial of the next program, with programs that the test makes; the test reaps them as the master would."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.master import upgrade
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.reexec import ReexecState
from lbproxy.process.master.upgrade import Upgrade

READS = "import sys; from lbproxy.process.master.reexec import read; sys.exit(read(int(sys.argv[2])).number != 3)"
SAYS_WHY = "import sys; print('first', file=sys.stderr); sys.exit('the last line\\n\\n')"


class Trial:
    """An upgrade whose program is that text of Python."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reactor = Reactor()
        self.can: list[bool | None] = [True]
        self.became: list[ReexecState] = []
        self._patch = monkeypatch
        monkeypatch.setattr(upgrade, "become_next", self.became.append)
        state = ReexecState(Path("lb.toml"), 3, [], HeldSockets())
        self.upgrade = Upgrade(self.reactor, lambda: state, lambda: self.can.pop() if self.can else True)

    def run(self, program: str) -> None:
        """Until the trial has ended and what follows has happened."""
        self._patch.setattr(upgrade, "command", lambda *words: [sys.executable, "-c", program, *words])
        self.upgrade.begin()
        status = os.waitstatus_to_exitcode(os.waitpid(self.upgrade.rehearsal, 0)[1])
        self.upgrade.rehearsed(status)
        self.reactor.later(0.2 if self.can else 0, self.reactor.stop)
        self.reactor.run()


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    made = Trial(monkeypatch)
    yield made
    made.reactor.close()


def test_a_program_that_reads_the_state_is_become(trial: Trial) -> None:
    trial.run(READS)
    assert [state.number for state in trial.became] == [3]


def test_the_log_line_is_taken_in_before_the_program_goes(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    """Generations are told of it too: half a message would be lost."""
    caplog.set_level("INFO")
    trial.can = [False, True, True]  # taken from the end: at the start, before the line, and after it
    trial.run(READS)
    assert [record.message for record in caplog.records] == ["upgrading"]
    assert len(trial.became) == 1
    assert trial.can == []


def test_a_stop_may_come_meanwhile(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    trial.can = [None, True, True]
    trial.run(READS)
    assert trial.became == []


def test_what_a_program_says_last_is_why_it_is_refused(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    trial.run(SAYS_WHY)
    assert not trial.became
    [record] = caplog.records
    assert record.message == "upgrade_refused"
    assert vars(record)["fields"] == {"status": 1, "problem": "the last line"}


def test_a_program_that_says_nothing_is_refused_too(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    trial.run("import sys; sys.exit(2)")
    [record] = caplog.records
    assert vars(record)["fields"] == {"status": 2, "problem": "the program installed now cannot run"}


def test_nothing_is_left_open(trial: Trial) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    trial.run(READS)
    trial.run(SAYS_WHY)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_none_begins_while_another_is_under_way_or_lbproxy_stops(trial: Trial) -> None:
    trial.can = [None]
    trial.upgrade.begin()
    assert not trial.upgrade.rehearsal
    assert repr(trial.upgrade) == "<upgrade, rehearsal none>"
    trial.run(READS)
    assert len(trial.became) == 1
    assert json.dumps(trial.can) == "[]"
