"""New connections that wait: a listening socket that hears no SYN.

The kernel drops each SYN (RFC 9293 section 3.5) before the socket sees it, so the client sends it again, after a second
at first (RFC 6298 section 2), and notices no more than that. Connections that are open, or about to open, go on.
"""

from __future__ import annotations

import errno
import socket
import struct
from array import array

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER, socket(7)

_PROGRAM = (  # struct sock_filter of linux/filter.h: code, jump if true, jump if false, operand. It sees the TCP header
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x54, 0, 0, 0x12),  # of them, ACK and SYN
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # all else passes whole
)

_CODE = array("B", b"".join(struct.pack("=HBBI", *one) for one in _PROGRAM))
_ADDRESS, _ = _CODE.buffer_info()


def hold(sock: socket.socket) -> None:
    """Let new connections to the listening TCP socket wait, in every process that shares it. Raises OSError."""
    program = struct.pack("@HP", len(_PROGRAM), _ADDRESS)  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


def release(sock: socket.socket) -> None:
    """End that, if it was so: not where the kernel, or an emulated one, knows no filters. Raises OSError."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOPROTOOPT}:
            raise
