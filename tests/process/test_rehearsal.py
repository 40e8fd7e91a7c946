"""What a program reads before a master becomes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lbproxy.errors import MessageError
from lbproxy.process.ipc.messages import encode, sample
from lbproxy.process.master.reexec import ReexecRecord
from lbproxy.process.rehearsal import rehearse


@pytest.fixture
def state() -> Iterator[int]:
    """The descriptor of an empty file."""
    descriptor = os.memfd_create("state")
    yield descriptor
    os.close(descriptor)


def written(state: int, **changed: object) -> int:
    """A descriptor of its own of the file, with the state of a master in it but for what is changed."""
    fields: dict[str, Any] = json.loads(encode(sample(ReexecRecord)))
    os.write(state, json.dumps(fields | changed).encode())
    return os.dup(state)


def test_a_state_that_is_understood_is_no_problem(state: int) -> None:
    rehearse(written(state))


def test_a_state_that_is_not_understood_is_an_error(state: int) -> None:
    with pytest.raises(MessageError, match="message reexec: sockets: str instead of list"):
        rehearse(written(state, sockets="in another form"))


def test_a_state_that_is_no_json_is_an_error(state: int) -> None:
    os.write(state, b"{")
    with pytest.raises(MessageError, match="no JSON"):
        rehearse(os.dup(state))


def test_the_program_says_why_and_fails(state: int) -> None:
    descriptor = written(state, children=[{"pid": 1}])
    command = [sys.executable, "-m", "lbproxy.process", "rehearse", str(descriptor)]
    done = subprocess.run(command, pass_fds=[descriptor], capture_output=True, text=True, check=False)
    os.close(descriptor)
    assert (done.returncode, done.stderr) == (1, "message generation: number is missing\n")
