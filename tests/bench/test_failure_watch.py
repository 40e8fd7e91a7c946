import socket
import struct

import pytest

from bench.failure.watch import attempt

VICTIM = socket.inet_aton("127.0.0.13")


def packet(
    payload: bytes = b"", flags: int = 0x10, host: str = "127.0.0.13", protocol: int = 6, options: int = 0
) -> bytes:
    """An IPv4 packet from port 40000, sequence number 7, to port 4000."""
    tcp = struct.pack("!HHIIBBHHH", 40000, 4000, 7, 0, (5 + options) << 4, flags, 0, 0, 0) + bytes(4 * options)
    size = 20 + len(tcp) + len(payload)
    start = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0)
    return start + bytes(4) + socket.inet_aton(host) + tcp + payload


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (packet(flags=0x02, options=5), (40000, 7, True)),
        (packet(b"GET / HTTP/1.1"), (40000, 7, False)),
        (packet(b"GET / HTTP/1.1", options=3)[:128], (40000, 7, False)),
        (packet(options=3), None),  # an acknowledgement
        (packet(b"x", host="127.0.0.12"), None),
        (packet(b"x", protocol=17), None),
        (packet(b"x")[:30], None),
    ],
)
def test_an_attempt_opens_a_connection_or_carries_data(sent: bytes, found: tuple[int, int, bool] | None) -> None:
    assert attempt(sent, VICTIM, 4000) == found


def test_another_port_is_not_the_victims() -> None:
    assert attempt(packet(b"x"), VICTIM, 4001) is None
