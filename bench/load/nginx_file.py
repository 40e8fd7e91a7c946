"""nginx in the foreground with all its files in one folder, as a proxy and as a backend."""

from __future__ import annotations

import os
from pathlib import Path


def nginx_file(directory: Path, name: str, connections: int, http: str) -> str:
    """A configuration with `http` inside its http block and one worker, which opens at most `connections`.

    Connections are kept for as long as a measurement lasts: by default nginx closes one after 1,000 requests.
    """
    user = "user root;" if os.geteuid() == 0 else ""  # its own user could not enter `directory`
    temporary = " ".join(
        f"{kind}_temp_path {directory}/{name}.{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
{user} daemon off; pid {directory}/{name}.pid; error_log stderr; worker_processes 1;
events {{ worker_connections {connections}; }}
http {{
    {temporary}
    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
    {http}
}}
"""


def nginx_command(directory: Path, path: Path) -> list[str | Path]:
    """Runs the file at `path`; without -e it would open the system's log before it reads the file."""
    return ["nginx", "-e", "stderr", "-p", directory, "-c", path]
