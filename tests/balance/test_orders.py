from __future__ import annotations

import json

from lbproxy.balance.orders import NO_ORDER, Order


def test_an_order_crosses_a_channel() -> None:
    order = Order(drain=True, weight=0, standby=False, by="root", at=12.5)
    assert Order.decode(json.loads(json.dumps(order.encode()))) == order


def test_another_version_may_know_more_or_less() -> None:
    assert Order.decode({"drain": True, "mood": "bad"}) == Order(drain=True)


def test_an_order_that_orders_nothing_is_none() -> None:
    assert not NO_ORDER
    assert not Order(by="root", at=1.0)
    assert Order(weight=0)
    assert Order(standby=False)
