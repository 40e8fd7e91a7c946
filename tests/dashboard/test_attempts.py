from __future__ import annotations

from lbproxy.dashboard import attempts
from lbproxy.dashboard.attempts import OF_ADDRESS, OF_NAME, WITHIN, Attempts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_after_some_failures_and_not_for_ever() -> None:
    clock = Clock()
    tried = Attempts(clock)
    for _ in range(OF_ADDRESS):
        assert tried.wait("192.0.2.1") == 0
        tried.failed("192.0.2.1")
        clock.now += 1
    assert tried.wait("192.0.2.1") == WITHIN - OF_ADDRESS
    assert tried.wait("::ffff:192.0.2.1") > 0, "the same one"
    assert tried.wait("192.0.2.2") == 0
    clock.now += WITHIN - OF_ADDRESS
    assert tried.wait("192.0.2.1") == 0


def test_a_name_waits_wherever_it_is_tried_from() -> None:
    tried = Attempts(Clock())
    for number in range(OF_NAME):
        tried.failed(f"192.0.2.{number}", "olga")
    assert tried.wait("198.51.100.1", "olga") > 0
    assert tried.wait("198.51.100.1", "vera") == 0


def test_a_host_has_a_whole_network_of_ipv6() -> None:
    tried = Attempts(Clock())
    for number in range(OF_ADDRESS):
        tried.failed(f"2001:db8::{number:x}")
    assert tried.wait("2001:db8::ffff%eth0") > 0
    assert tried.wait("2001:db8:0:1::1") == 0
    assert tried.wait("") == 0


def test_it_does_not_grow() -> None:
    tried = Attempts(Clock())
    for number in range(attempts._KEPT + 100):
        tried.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "olga")
    assert len(tried._failures) == attempts._KEPT
    assert len(tried._failures["name olga"]) == OF_NAME
