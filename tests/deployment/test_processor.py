"""The one-file program on a processor without AVX, which qemu emulates for every process of it.

LBPROXY_FULL=1, as root, with Debian's qemu-user, after `make dist`. The kernel hands the programs to qemu by a rule of
a namespace of its own (binfmt_misc, Linux 6.7). The rule is for programs with a fixed address, as the one-file
program's are, because qemu itself has none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from bench.first_login import connector, first_login
from lbproxy.demo.ports import free_port

DIST = Path(os.environ.get("LBPROXY_DIST", Path(__file__).parents[2] / "dist"))
FILES = sorted(DIST.glob("lbproxy-*-linux-x86_64"))
QEMU = shutil.which("qemu-x86_64")

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="LBPROXY_FULL=1 starts the one-file program"),
    pytest.mark.skipif(not FILES, reason="make dist has made no one-file program"),
    pytest.mark.skipif(os.geteuid() != 0 or QEMU is None, reason="emulated processors need root and qemu-user"),
]

# The first 20 bytes of such a program for x86-64, and which of their bits count: all but those of one byte, the ABI.
MAGIC = r"\x7fELF\x02\x01\x01" + 9 * r"\x00" + r"\x02\x00\x3e\x00"
MASK = 7 * r"\xff" + r"\x00" + 12 * r"\xff"
RULE = f":emulated:M::{MAGIC}:{MASK}:{QEMU}:FO"
EMULATED = [
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"),
    'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; printf %s "$0" >/proc/sys/fs/binfmt_misc/register; exec "$@"',
    RULE,
]
AVX = """\
#include <immintrin.h>
int main(int count, char **words)
{
    volatile double sum[4];
    (void)words;
    _mm256_storeu_pd((double *)sum, _mm256_add_pd(_mm256_set1_pd(count), _mm256_set1_pd(1)));
    return (int)sum[3];
}
"""


@pytest.fixture(params=["qemu64", "Nehalem"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Of a processor that ends a program with SIGILL where it uses AVX."""
    found = {**os.environ, "QEMU_CPU": request.param, "LBPROXY_UNPACK_TO": f"{tmp_path}/unpacked"}
    source, program = tmp_path / "avx.c", tmp_path / "avx"
    source.write_text(AVX)
    subprocess.run(["gcc", "-mavx", "-no-pie", "-o", program, source], check=True)
    assert subprocess.run([program], check=False).returncode == 2, "this processor has AVX"
    done = subprocess.run([*EMULATED, program], env=found, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGILL, done.stderr
    return found


def test_it_serves_tls_without_avx(environment: dict[str, str], tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with connector() as backend, log.open("wb") as out:
        words = ["run", "--listen", f"127.0.0.1:{port}", "--self-signed", "--to", f"http://127.0.0.1:{backend}"]
        command = [*EMULATED, str(FILES[-1]), *words, "--admin", f"unix:{tmp_path}/admin"]
        with subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
            try:
                first_login(process, port, log)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                assert children
                for pid in (process.pid, *children):
                    assert Path(f"/proc/{pid}/exe").readlink() == Path(str(QEMU)).resolve()
                process.terminate()
                assert process.wait(60) == 0
            finally:
                process.kill()
