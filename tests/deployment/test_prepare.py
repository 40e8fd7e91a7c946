"""tools/prepare, on a machine that lacks packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

APT_GET = """#!/bin/sh
for word; do
  case $word in APT::Status-Fd=*) status=${word#*=} ;; esac
done
[ -n "$status" ] || exit 0
[ "$status" -gt 2 ] || { echo "scripts of packages cannot print"; exit 1; }
echo "pmstatus:gcc:52.5:Unpacking gcc" >&"$status"
"""
"""As apt, which closes the descriptor of its status before it runs the scripts of packages."""


def test_progress_is_told_and_the_scripts_of_packages_can_print(tmp_path: Path) -> None:
    for name, text in (("apt-get", APT_GET), ("dpkg-query", "#!/bin/sh\n"), ("id", "#!/bin/sh\necho 0\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "tools" / "prepare", "debian", "gcc"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["make: installing Debian packages: gcc", "make: installing, 50 %"]
