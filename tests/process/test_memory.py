from __future__ import annotations

import mmap
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.process.memory import HUGE, SETTING, collapse, files, ranges, release_code

MAPS = """\
55d0c0000000-55d0c0a01000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000200000 rw-p 00000000 00:00 0
7f0000401000-7f00007ff000 rw-p 00000000 00:00 0 
7f0000801000-7f0001001000 rw-p 00000000 00:00 0
7f0002000000-7f0003000000 r--p 00000000 00:00 0
7f0004000000-7f0005000000 rw-s 00000000 00:01 77                         /dev/zero (deleted)
7f0006000000-7f0007000000 rw-p 00000000 fe:00 1234                       /usr/lib/libc.so.6
7ffd00000000-7ffd00800000 rw-p 00000000 00:00 0                          [stack]
"""  # noqa: W291  # as the kernel writes it


def test_whole_huge_pages_of_anonymous_memory_are_found() -> None:
    """Not the stack, memory that is shared or read only, files, nor what is smaller than a huge page."""
    assert ranges(MAPS) == [
        (0x55D0C0000000, 0x55D0C0A00000),
        (0x7F0000000000, 0x7F0000200000),
        (0x7F0000A00000, 0x7F0001000000),
    ]


def huge_kb() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    found = re.search(r"^AnonHugePages:\s+(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1])


def test_memory_is_in_huge_pages_then() -> None:
    """And holds what it held."""
    code = (
        "import mmap\n"
        "from lbproxy.process.memory import HUGE, collapse\n"
        "from tests.process.test_memory import huge_kb\n"
        "memory = mmap.mmap(-1, 4 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "memory.write(bytes(range(256)) * (4 * HUGE // 256))\n"
        "before = huge_kb()\n"
        "done = collapse()\n"
        "print(done // 1024 - before, huge_kb() - before, memory[:] == bytes(range(256)) * (4 * HUGE // 256))\n"
    )
    if not SETTING.exists() or "[never]" in SETTING.read_text():
        pytest.skip("this machine has no huge pages")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, found, same = done.stdout.split()
    if told == "0":
        pytest.skip("a kernel before 6.1, or one that has no huge page free")
    assert same == "True"
    assert int(found) > 0
    assert int(found) == int(told)


@pytest.mark.parametrize("text", ["always madvise [never]\n", None])
def test_a_machine_without_huge_pages_is_left_alone(tmp_path: Path, text: str | None) -> None:
    setting = tmp_path / "enabled"
    if text is not None:
        setting.write_text(text)
    with mmap.mmap(-1, 2 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS):
        assert collapse(setting) == 0


SMAPS = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:00 10                         /usr/bin/a program
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
55d0c0001000-55d0c0005000 r-xp 00001000 fe:00 10                         /usr/bin/a program
Anonymous:             0 kB
55d0c0005000-55d0c0007000 r--p 00005000 fe:00 10                         /usr/bin/a program
Anonymous:             8 kB
55d0c0007000-55d0c0008000 rw-p 00007000 fe:00 10                         /usr/bin/a program
Anonymous:             0 kB
7f0000000000-7f0000200000 r--p 00000000 00:00 0 
Anonymous:             0 kB
7f0000200000-7f0000201000 r--s 00000000 fe:00 11                         /usr/share/shared
Anonymous:             0 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""  # noqa: W291  # as the kernel writes it


def test_what_is_mapped_from_files_and_as_it_is_there_is_found() -> None:
    """Not what the linker has written to before it made it read only, nor what can be written."""
    assert files(SMAPS.splitlines(keepends=True)) == [
        (0x55D0C0000000, 0x55D0C0001000),
        (0x55D0C0001000, 0x55D0C0005000),
    ]


def test_code_that_ran_is_no_memory_of_the_process_any_more() -> None:
    """And it runs again."""
    code = (
        "import decimal, json, re, ssl\n"
        "from pathlib import Path\n"
        "from lbproxy.process.memory import files, release_code\n"
        "from lbproxy.config import Config\n"
        "def resident():\n"
        "    found = re.search(r'^RssFile:\\s+(\\d+) kB$', Path('/proc/self/status').read_text(), re.MULTILINE)\n"
        "    return int(found[1]) * 1024\n"
        "before = resident()\n"
        "with open('/proc/self/smaps') as lines:\n"
        "    mapped = sum(end - begin for begin, end in files(lines))\n"
        "done = release_code()\n"
        "print(before, resident(), mapped, done)\n"
        "ciphers = ssl.create_default_context().get_ciphers()\n"
        "print(json.loads(json.dumps(str(decimal.Decimal(2) / 7))), len(ciphers) > 3)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    numbers, words = run.stdout.splitlines()
    before, after, mapped, done = map(int, numbers.split())
    assert done == mapped
    assert after < before * 2 // 3
    assert words == "0.2857142857142857142857142857 True"


def test_without_proc_no_code_is_released(tmp_path: Path) -> None:
    assert release_code(tmp_path / "smaps") == 0
