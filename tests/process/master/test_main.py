"""The master's process: small, and it says why it cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = (
    "asyncio",
    "aiohttp",
    "uvloop",
    "pydantic",
    "cryptography",
    "prometheus_client",
    "click",
    "ssl",
    "lbproxy.config",
)


def test_the_master_imports_little() -> None:
    program = f"import sys, lbproxy.process.master.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_that_is_missing_is_status_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbproxy.process", "master", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lbproxy: error: " in done.stderr
    assert "none.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_installed_can_be_rehearsed() -> None:
    subprocess.run([sys.executable, "-m", "lbproxy.process", "rehearse"], check=True)
