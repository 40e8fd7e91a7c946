from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.log import (
    DatagramHandler,
    LineFormatter,
    LineHandler,
    counted,
    event,
    finish,
    redirect,
    setup,
)

LOGGER = logging.getLogger("lbproxy.tests")


class Kept(logging.Handler):
    """Keeps the lines that a formatter makes."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before once the test is over."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def kept(root: logging.Logger) -> Kept:
    kept = Kept()
    root.setLevel(logging.INFO)
    root.handlers[:] = [kept]
    return kept


def without_time(line: str) -> str:
    stamp, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    return rest


def test_an_event_is_its_name_and_its_fields(kept: Kept) -> None:
    event(LOGGER, logging.WARNING, "backend_ejected", pool="connectors", backend="c2", after=1.5, errors=3, detail=None)
    assert without_time(kept.lines[0]) == "WARNING backend_ejected pool=connectors backend=c2 after=1.500 errors=3"


def test_code_that_may_not_import_this_passes_fields_itself(kept: Kept) -> None:
    LOGGER.info("lane_closed", extra={"fields": {"backend": "c1"}})
    assert without_time(kept.lines[0]) == "INFO lane_closed backend=c1"


def test_a_sentence_becomes_an_event_of_its_logger(kept: Kept) -> None:
    LOGGER.error("Task %s was destroyed", "x y")
    assert without_time(kept.lines[0]) == 'ERROR lbproxy.tests message="Task x y was destroyed"'


def test_a_traceback_stays_in_its_line(kept: Kept) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        LOGGER.exception("broken")
    [line] = kept.lines
    assert "\n" not in line
    assert re.search(r' traceback="Traceback .*\\nValueError: first\\nsecond"$', line)


@given(value=st.text())
def test_no_value_leaves_its_field(value: str) -> None:
    """What logfmt readers do: split at spaces outside quotes; a quoted value is JSON."""
    record = LOGGER.makeRecord("x", logging.INFO, "f", 1, "seen", (), None, extra={"fields": {"a": value, "b": "end"}})
    line = LineFormatter().format(record)
    assert re.fullmatch(r"[ -~]*", line)
    start, end = " INFO seen a=", " b=end"
    assert start in line
    assert line.endswith(end)
    written = line[line.index(start) + len(start) : -len(end)]
    if written.startswith('"'):
        assert json.loads(written) == value
    else:
        assert written == value
        assert not set(written) & set(' ="\\')


def test_setup_sends_every_logger_to_the_descriptor(root: logging.Logger) -> None:
    end, descriptor = os.pipe()
    handler = setup(descriptor)
    logging.getLogger("asyncio").warning("slow")
    event(LOGGER, logging.DEBUG, "too_much")
    root.removeHandler(handler)
    handler.close()
    assert without_time(os.read(end, 4096).decode()) == "WARNING slow\n"
    os.close(end)
    os.close(descriptor)


def test_lines_lost_to_a_blocked_descriptor_are_told_about_by_the_next_one() -> None:
    end, descriptor = os.pipe()
    os.set_blocking(descriptor, False)
    filler = 0
    try:
        while True:
            filler += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
    handler = LineHandler(descriptor, limit=300)
    long = LOGGER.makeRecord("x", logging.INFO, "f", 1, "long", (), None, extra={"fields": {"a": "b" * 100}})
    for _ in range(5):
        handler.handle(long)
    while filler:
        filler -= len(os.read(end, filler))
    first_two = b""
    while first_two.count(b"\n") < 2:
        first_two += os.read(end, 4096)
    handler.handle(long)
    handler.close()
    os.close(descriptor)
    with open(end, "rb") as rest:  # noqa: PTH123 (a descriptor has no path)
        assert re.fullmatch(rb"\S+ INFO long a=b{100} lines_dropped=3\n", rest.read())


def test_a_message_that_cannot_be_formatted_does_not_raise(capsys: pytest.CaptureFixture[str]) -> None:
    end, descriptor = os.pipe()
    handler = LineHandler(descriptor)
    handler.handle(LOGGER.makeRecord("x", logging.INFO, "f", 1, "%d", ("no number",), None))
    handler.close()
    assert "Logging error" in capsys.readouterr().err
    os.close(descriptor)
    os.close(end)


# --- the page

_LOGGED = re.compile(
    r"""(?: event\(\s*log,\s*logging\.[A-Z]+,\s*     # the function
        | self\._say\(\s*logging\.[A-Z]+,\s*         # what calls it for one source
        | \b_?log\.(?:debug|info|warning|error|exception)\(  # a logger itself
        | \b(?:self\._)?tell\(\s*                     # what the dashboard gives the process that logs
        | Change\.[A-Z]+:\s*                         # one of a table
        ) "([a-z_]+)" """,
    re.VERBOSE,
)


def test_the_page_has_every_event() -> None:
    files = [path for path in Path("lbproxy").rglob("*.py*") if path.suffix in {".py", ".pyx"}]
    logged = {name for path in files for name in _LOGGED.findall(path.read_text())}
    table = Path("docs/monitoring.md").read_text().partition("| event | level |")[2]
    documented = re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "| `" in line))
    assert sorted(documented) == sorted(logged)


def test_lines_for_the_journal_have_a_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    with path.open("wb") as file:
        found = os.fstat(file.fileno())
        for value, wanted in ((f"{found.st_dev}:{found.st_ino}", ["<7>", "<6>", "<4>", "<3>", "<2>"]), ("1:2", [])):
            monkeypatch.setenv("JOURNAL_STREAM", value)
            handler = LineHandler(file.fileno())
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
                handler.handle(LOGGER.makeRecord("x", level, "f", 1, "seen", (), None))
            handler.close()
            assert re.findall(r"(?m)^<\d>", path.read_text()) == wanted or not wanted
            assert wanted or "\n2" in path.read_text()


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    """At tmp_path/log."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(60.0)
        sock.bind(str(tmp_path / "log"))
        yield sock


def test_setup_sends_every_logger_to_a_syslog(root: logging.Logger, syslog: socket.socket, tmp_path: Path) -> None:
    setup(to=f"syslog:{tmp_path / 'log'}")
    event(LOGGER, logging.WARNING, "backend_ejected", backend="c 1")
    finish()
    line = syslog.recv(1000).decode()
    assert re.fullmatch(r'<28>\w+ [ \d]\d \d\d:\d\d:\d\d lbproxy\[\d+\]: backend_ejected backend="c 1"', line)
    assert counted() == (1, 0)


def test_a_process_may_send_its_lines_elsewhere_from_now_on(
    root: logging.Logger, syslog: socket.socket, tmp_path: Path
) -> None:
    end, descriptor = os.pipe()
    setup(descriptor, level=logging.WARNING)
    event(LOGGER, logging.WARNING, "before")
    redirect("stderr")
    [before] = root.handlers
    to = f"syslog:{tmp_path / 'log'}"
    redirect(to)
    event(LOGGER, logging.WARNING, "after")
    event(LOGGER, logging.INFO, "too_much")
    [handler] = root.handlers
    redirect(to)
    assert root.handlers == [handler]
    kept = Kept()
    root.addHandler(kept)
    redirect("stderr")
    assert root.handlers[1:] == [kept], "who else listens goes on"
    handler.close()
    finish()
    before.close()
    assert b"]: after" in syslog.recv(1000)
    assert without_time(os.read(end, 4096).decode()) == "WARNING before\n"
    os.close(end)
    os.close(descriptor)


def test_lines_that_found_the_queue_full_are_told_about_by_the_next_one(syslog: socket.socket, tmp_path: Path) -> None:
    handler = DatagramHandler(f"syslog:{tmp_path / 'log'}", limit=5000)
    long = LOGGER.makeRecord("x", logging.INFO, "f", 1, "long", (), None, extra={"fields": {"a": "b" * 1000}})
    handled = 0
    while handler.writer.dropped < 3:
        handler.handle(long)
        handled += 1
    for _ in range(handled - 3):
        syslog.recv(10000)
    handler.flush()
    handler.handle(long)
    assert syslog.recv(10000).endswith(b" lines_dropped=3")
    handler.close()
