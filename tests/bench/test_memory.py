import mmap
import os
from pathlib import Path

import pytest

from bench.memory import Memory, main, processes


def test_an_idle_balancer_is_a_master_and_a_generation(tmp_path: Path) -> None:
    """The target is 40 MB with one worker; there is room for an interpreter that shares nothing with another one."""
    found = processes(tmp_path, 1, tls=False)
    assert len(found) == 2
    assert 20e6 < sum(one.pss for one in found) < 50e6
    assert all(one.pss >= one.own > 0 and one.pss >= one.private > 0 for one in found)


def test_memory_of_a_process_is_in_bytes() -> None:
    """A mapping of its own: what the allocator gives may have been this process's before."""
    before = Memory.of(os.getpid())
    with mmap.mmap(-1, 8_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        held.write(os.urandom(1) * len(held))
        after = Memory.of(os.getpid())
        assert after.own - before.own >= len(held) * 3 // 4


def test_each_process_has_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = [Memory(8_000_000, 7_000_000, 6_000_000)] * 5
    asked: list[tuple[int, bool]] = []

    def as_asked(_: Path, workers: int, *, tls: bool) -> list[Memory]:
        asked.append((workers, tls))
        return made if workers == 2 else made[:2]

    monkeypatch.setattr("bench.memory.processes", as_asked)
    main(["--workers", "1,2"])
    assert asked == [(1, False), (1, True), (2, False), (2, True)]
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines[:3] == [
        "| plain, 1 worker | master | 8.0 | 7.0 | 6.0 |",
        "| plain, 1 worker | generation | 8.0 | 7.0 | 6.0 |",
        "| plain, 1 worker | in all | 16.0 | | |",
    ]
    roles = [line.split(" | ")[1] for line in lines if line.startswith("| TLS, 2 workers")]
    assert roles == ["master", "generation", "forker", "worker 1", "worker 2", "in all"]
