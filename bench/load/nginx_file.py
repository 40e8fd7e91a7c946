"""nginx in the foreground with all its files in one folder, as a proxy and as a backend."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_STREAM_MODULE = "usr/lib/nginx/modules/ngx_stream_module.so"
"""Where Debian's libnginx-mod-stream puts it."""


def stream_module() -> Path:
    """That of the nginx that is found first: beside it, when it was unpacked (bench/newer)."""
    program = shutil.which("nginx")
    unpacked = Path(program).parent.parent / _STREAM_MODULE if program else Path()
    return unpacked if unpacked.is_file() else Path("/", _STREAM_MODULE)


def nginx_file(directory: Path, name: str, connections: int, http: str, workers: int = 1) -> str:
    """A configuration with `http` inside its http block and workers that open at most `connections` each.

    Connections are kept for as long as a measurement lasts: by default nginx closes one after 1,000 requests.
    """
    temporary = " ".join(
        f"{kind}_temp_path {directory}/{name}.{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
{_main(directory, name, connections, workers)}
http {{
    {temporary}
    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
    {http}
}}
"""


def nginx_stream_file(directory: Path, name: str, connections: int, stream: str) -> str:
    """The same with `stream` inside a stream block."""
    return f"load_module {stream_module()};\n{_main(directory, name, connections, 1)}\nstream {{{stream}\n}}\n"


def nginx_command(directory: Path, path: Path) -> list[str | Path]:
    """Runs the file at `path`; without -e it would open the system's log before it reads the file."""
    return ["nginx", "-e", "stderr", "-p", directory, "-c", path]


def _main(directory: Path, name: str, connections: int, workers: int) -> str:
    user = "user root;" if os.geteuid() == 0 else ""  # its own user could not enter `directory`
    return f"""{user} daemon off; pid {directory}/{name}.pid; error_log stderr; worker_processes {workers};
events {{ worker_connections {connections}; }}"""
