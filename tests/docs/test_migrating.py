"""docs/migrating.md: its commands, with files of HAProxy and nginx that those take; the keys of its table are there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.config.reference import entries

from .pages import DOCS, block

HAPROXY = """
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend login
  bind 127.0.0.1:8080
  cookie SRV insert
  default_backend connectors
backend connectors
  balance roundrobin
  option httpchk GET /healthz
  server c1 127.0.0.1:4001 check
  server c2 127.0.0.1:4002 check
"""
NGINX = """
events {}
http {
  access_log off;
  include DIRECTORY/sites/*.conf;
}
"""
SITE = """
upstream connectors { ip_hash; server 127.0.0.1:4001; server 127.0.0.1:4002; }
server { listen 127.0.0.1:8080; server_name login.test; location / { proxy_pass http://connectors; } }
"""


def run(commands: str, directory: Path) -> str:
    """In a shell, which ends with the first command that fails; what they print."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=directory,
        env={**os.environ, "PATH": path, "RUNTIME_DIRECTORY": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_haproxy(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(HAPROXY)
    printed = block("migrating.md", "import haproxy")
    said = run(printed.replace("/etc/haproxy/haproxy.cfg", str(file)), tmp_path)
    assert "NOT CARRIED: line 9: cookie" in said
    assert "is fit to run" in said


@pytest.mark.skipif(shutil.which("nginx", path="/usr/sbin:/usr/bin") is None, reason="nginx is not installed")
def test_from_nginx(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "login.conf").write_text(SITE)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\n{NGINX.replace('DIRECTORY', str(tmp_path))}")
    printed = block("migrating.md", "import nginx")
    said = run(printed.replace("nginx -T", f"nginx -T -e stderr -c {tmp_path}/nginx.conf"), tmp_path)
    assert "is fit to run" in said
    assert "http://127.0.0.1:4002" in (tmp_path / "lbproxy.toml").read_text()


def test_every_key_of_the_table_is_one() -> None:
    table = re.findall(r"^\| (`[^|]*) \|", (DOCS / "migrating.md").read_text(), re.MULTILINE)
    first = [re.match(r"`([^` ]*)", row) for row in table]
    named = {found[1] for found in first if found is not None and "." in found[1]}
    assert len(named) > 12
    assert named - {entry.name for entry in entries()} == set()
