from __future__ import annotations

import json

from lbproxy.balance.orders import NO_ORDER, Order, Stamp

ROOT, OLGA = Stamp("root", 12.5), Stamp("olga", 13.5)


def test_an_order_crosses_a_channel() -> None:
    order = Order(drain=True, weight=0, standby=False, stamps={"weight": ROOT})
    assert Order.decode(json.loads(json.dumps(order.encode()))) == order


def test_another_version_may_know_more_or_less() -> None:
    assert Order.decode({"drain": True, "mood": "bad"}) == Order(drain=True)


def test_an_order_that_orders_nothing_is_none() -> None:
    assert not NO_ORDER
    assert Order(weight=0)
    assert Order(standby=False)


def test_each_part_of_an_order_is_its_givers() -> None:
    order = NO_ORDER.having(ROOT, weight=0, standby=False).having(OLGA, drain=True)
    assert order == Order(True, 0, False, {"weight": ROOT, "standby": ROOT, "drain": OLGA})
    assert order.having(OLGA, weight=3).stamps == {"weight": OLGA, "standby": ROOT, "drain": OLGA}
    assert order.having(ROOT, drain=True, weight=0) == order, "who says it again has changed nothing"


def test_what_is_taken_back_is_nobodys() -> None:
    order = NO_ORDER.having(ROOT, weight=2, standby=True, drain=True)
    assert order.having(OLGA, weight=None, standby=None, drain=False) == NO_ORDER
