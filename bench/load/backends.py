"""What stands behind every proxy: the servers of one nginx, on the load core.

Its paths:
    /64 /64k /1m    so many bytes, all the same letter
    /64k-chunked    64 KB without Content-Length
    /login          401 with an offer of Negotiate, unless there is a token; then as /64
    /seen           what arrived, for `bench.load.verify`: one `name=value` a line
"""

from __future__ import annotations

from pathlib import Path

from bench.load.certificate import Certificate
from bench.load.nginx_file import nginx_command, nginx_file
from bench.processes import LOAD_CORE, Child, accepts, free_ports

LETTER = b"x"

_OVER_TLS = 3

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
    """`count` servers, whose `ports` answer as soon as the object is made, for at most `connections` at once.

    With `certificate` there are a few over TLS as well, `tls_ports`, which ask for a certificate of its mint.
    """

    def __init__(self, directory: Path, count: int, connections: int, certificate: Certificate | None = None) -> None:
        ports = free_ports(count + (0 if certificate is None else _OVER_TLS))
        self.ports, self.tls_ports = ports[:count], ports[count:]
        tls = "" if certificate is None else _server(directory, self.tls_ports, " ssl", _asking(certificate))
        _write_bodies(directory)
        path = directory / "backends.conf"
        http = _http() + _server(directory, self.ports) + tls
        path.write_text(nginx_file(directory, "backends", connections + len(ports), http))
        super().__init__("backends", nginx_command(directory, path), LOAD_CORE, directory)
        self.wait_until(lambda: all(map(accepts, ports)))


def body(size: int) -> bytes:
    """The body of an answer of `size` bytes."""
    return LETTER * size


def _write_bodies(directory: Path) -> None:
    for name, size in (("64k", 64 * 1024), ("64k-chunked", 64 * 1024), ("1m", 1024 * 1024)):
        (directory / name).write_bytes(body(size))


def _asking(certificate: Certificate) -> str:
    return f"""ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3; ssl_client_certificate {certificate.mint}; ssl_verify_client on;"""


def _http() -> str:
    return """
    sendfile on; open_file_cache max=16; open_file_cache_valid 600s; large_client_header_buffers 4 64k;
    default_type text/plain;
    map $status $offer { default ""; 401 Negotiate; }"""


def _server(directory: Path, ports: tuple[int, ...], ssl: str = "", tls: str = "") -> str:
    listens = " ".join(f"listen 127.0.0.1:{port}{ssl} backlog=4096;" for port in ports)
    return f"""
    server {{
        {listens}
        {tls}
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
