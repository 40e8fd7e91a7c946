from __future__ import annotations

from contextlib import ExitStack

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


def test_attempts_under_way_count_as_failed() -> None:
    tried = Attempts(Clock())
    with ExitStack() as stack:
        for number in range(OF_ADDRESS):
            assert tried.wait("192.0.2.1") == 0, number
            stack.enter_context(tried.under_way("192.0.2.1", "olga"))
        assert tried.wait("192.0.2.1") > 0
        assert tried.wait("192.0.2.2", "olga") == 0
    assert tried.wait("192.0.2.1") == 0


def test_a_user_who_has_signed_in_from_an_address_is_not_locked_out_by_others() -> None:
    tried = Attempts(Clock())
    tried.succeeded("192.0.2.1", "olga")
    for number in range(OF_NAME):
        tried.failed(f"198.51.100.{number}", "olga")
    assert tried.wait("192.0.2.2", "olga") > 0
    assert tried.wait("192.0.2.1", "olga") == 0
    for _ in range(OF_ADDRESS):
        tried.failed("192.0.2.1", "olga")
    assert tried.wait("192.0.2.1", "olga") > 0, "its own failures count"


def test_a_limit_is_news_once() -> None:
    clock = Clock()
    tried = Attempts(clock)
    for _ in range(OF_ADDRESS):
        tried.failed("192.0.2.1")
    assert [tried.is_news("192.0.2.1") for _ in range(3)] == [True, False, False]
    assert tried.is_news("192.0.2.2")
    clock.now += WITHIN
    assert tried.is_news("192.0.2.1")


def test_it_does_not_grow() -> None:
    tried = Attempts(Clock())
    for number in range(attempts._NAMES + 100):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        tried.failed(address, f"olga{number}")
        tried.failed(address, "olga")
        tried.succeeded(address, "olga")
        tried.is_news(address)
        with tried.under_way(address, "olga"):
            pass
    assert len(tried._addresses) == len(tried._told) == len(tried._welcome) == attempts._ADDRESSES
    assert len(tried._names) == attempts._NAMES
    assert len(tried._names._at["olga"]) == OF_NAME
    assert not tried._addresses._under_way
    assert not tried._names._under_way
