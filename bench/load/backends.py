"""What stands behind every proxy: the servers of one nginx, on the load core.

Its paths:
    /64 /64k /1m    so many bytes, all the same letter
    /64k-chunked    64 KB without Content-Length
    /login          401 with an offer of Negotiate, unless there is a token; then as /64
    /seen           what arrived, for `bench.load.verify`: one `name=value` a line
"""

from __future__ import annotations

from pathlib import Path

from bench.load.nginx_file import nginx_command, nginx_file
from bench.processes import LOAD_CORE, Child, accepts, free_ports

LETTER = b"x"

_SEEN = "".join(
    f"{name}={variable}\\n"
    for name, variable in {
        "backend": "$server_port",
        "connection": "$connection",  # its number in the backends' process
        "requests": "$connection_requests",  # on this upstream connection: more than one when it is kept
        "host": "$http_host",
        "forwarded_for": "$http_x_forwarded_for",
        "forwarded_proto": "$http_x_forwarded_proto",
        "authorization": "$http_authorization",
    }.items()
)


class Backends(Child):
    """`count` servers, whose `ports` answer as soon as the object is made, for at most `connections` at once."""

    def __init__(self, directory: Path, count: int, connections: int) -> None:
        self.ports = free_ports(count)
        _write_bodies(directory)
        path = directory / "backends.conf"
        path.write_text(nginx_file(directory, "backends", connections + count, _http(directory, self.ports)))
        super().__init__("backends", nginx_command(directory, path), LOAD_CORE, directory)
        self.wait_until(lambda: all(map(accepts, self.ports)))


def body(size: int) -> bytes:
    """The body of an answer of `size` bytes."""
    return LETTER * size


def _write_bodies(directory: Path) -> None:
    for name, size in (("64k", 64 * 1024), ("64k-chunked", 64 * 1024), ("1m", 1024 * 1024)):
        (directory / name).write_bytes(body(size))


def _http(directory: Path, ports: tuple[int, ...]) -> str:
    listens = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    return f"""
    sendfile on; open_file_cache max=16; open_file_cache_valid 600s; large_client_header_buffers 4 64k;
    default_type text/plain;
    map $status $offer {{ default ""; 401 Negotiate; }}
    server {{
        {listens}
        root {directory};
        location = /64 {{ return 200 "{body(64).decode()}"; }}
        location = /login {{
            if ($http_authorization = "") {{ return 401; }}
            return 200 "{body(64).decode()}";
        }}
        add_header WWW-Authenticate $offer always;
        location = /64k {{ }}
        location = /1m {{ }}
        location = /64k-chunked {{ ssi on; ssi_types *; }}  # what may be changed on the way has no known length
        location = /seen {{ return 200 "{_SEEN}"; }}
    }}"""
