"""The other end of POST /health, for `lbproxy health`: keepalived runs it every second, so it imports next to nothing.

http.client alone would take longer than all the rest of the command.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from lbproxy.control.admin.sockets import Bind

_REQUEST = b"POST /health HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LARGEST = 1 << 16  # bytes of an answer
_PAUSE = 0.02  # seconds until it is asked again


def ask_health(bind: Bind, timeout: float) -> tuple[bool, str]:
    """Whether this host should serve clients, and why not. It raises nothing: no answer within `timeout` is a no.

    A connection that ends without an answer is no answer yet: the next generation, or one that is started in the place
    of one that died, has the same socket.
    """
    deadline = time.monotonic() + timeout
    try:
        while not (answer := _exchange(bind, deadline)):
            time.sleep(_PAUSE)
    except (FileNotFoundError, ConnectionRefusedError):
        return False, "lbproxy is not running"
    except PermissionError:
        return False, f"{bind} may be opened by the user only that runs lbproxy"
    except TimeoutError:
        return False, f"lbproxy does not answer within {timeout:g} s"
    except OSError as error:
        return False, f"lbproxy does not answer: {error.strerror or error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or status not in (b"200", b"503"):
        said = head.partition(b"\r")[0].decode("utf-8", "replace")
        return False, f"not lbproxy, or an older one: {said}"
    return status == b"200", body.decode("utf-8", "replace").strip()


def _exchange(bind: Bind, deadline: float) -> bytes:
    """The answer, or nothing if the connection ended before it was whole. TimeoutError at `deadline`."""
    answer = b""
    with _connect(bind, _left(deadline)) as sock:
        try:
            sock.sendall(_REQUEST % (80 if isinstance(bind, Path) else bind[1]))
            while len(answer) < _LARGEST and (data := sock.recv(_LARGEST)):
                answer += data
                sock.settimeout(_left(deadline))
        except (ConnectionResetError, BrokenPipeError):
            return b""
    return answer


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(bind: Bind, timeout: float) -> socket.socket:
    if not isinstance(bind, Path):
        return socket.create_connection(bind, timeout)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(str(bind))
    except OSError:
        sock.close()
        raise
    return sock
