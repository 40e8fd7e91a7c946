"""A look at the packets that the proxy sends to the victim: what it tries, whatever becomes of it.

Nothing else shows for every proxy when it stops and begins to use a backend: a dead or unreachable one cannot tell, and
the proxies' own words differ.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Self

_ETH_P_ALL = 0x0003  # packet(7): with a protocol's own number, only what arrives would be seen
_ETH_P_IP = 0x0800
_OUTGOING = 4  # packet(7): PACKET_OUTGOING. On loopback each packet is seen twice, once as such
_TCP = 6
_SYN = 0x02
_TICK = 0.2  # seconds between two looks whether to end
_BUFFER = 8 << 20


def attempt(packet: bytes, host: bytes, port: int) -> tuple[int, int, bool] | None:
    """What identifies a packet to `host` (4 bytes) that opens a connection or carries data: its source port, sequence
    number and whether it is a SYN. The same again is a retransmission. None for every other packet (RFC 791, RFC 9293).
    """
    if len(packet) < 40 or packet[9] != _TCP or packet[16:20] != host:
        return None
    start = (packet[0] & 0x0F) * 4
    source, target, sequence = struct.unpack_from("!HHI", packet, start)
    syn = bool(packet[start + 13] & _SYN)
    size = int.from_bytes(packet[2:4]) - start - (packet[start + 12] >> 4) * 4
    return (source, sequence, syn) if target == port and (syn or size > 0) else None


class Watch:
    """`times`: when (monotonic) something was first sent to `host`:`port`. Needs root (or CAP_NET_RAW)."""

    def __init__(self, host: str, port: int) -> None:
        self.times: list[float] = []
        self._host = socket.inet_aton(host)
        self._port = port
        self._seen: set[tuple[int, int, bool]] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.settimeout(_TICK)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _look(self) -> None:
        while not self._over.is_set():
            try:
                packet, address = self._socket.recvfrom(128)
            except TimeoutError:
                continue
            if address[1:3] == (_ETH_P_IP, _OUTGOING):
                self._count(packet)

    def _count(self, packet: bytes) -> None:
        found = attempt(packet, self._host, self._port)
        if found is not None and found not in self._seen:
            self._seen.add(found)
            self.times.append(time.monotonic())
