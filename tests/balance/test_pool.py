from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from lbproxy import reasons
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.member import Member
from lbproxy.balance.orders import Order, Stamp
from lbproxy.balance.pool import Pool
from lbproxy.reasons import Reason
from tests.balance.heard import Feed, Verdicts
from tests.balance.history import TestHistory

__all__ = ["TestHistory"]

RULES = Rules(rise=2, fall=1, consecutive_errors=3)


def pool_of(
    names: str,
    *,
    up: str = "",
    when_all_down: Literal["try", "refuse"] = "try",
    rules: Rules = RULES,
    slow_start: float = 0.0,
    **more: Any,
) -> Pool:
    backends = [Backend(name, f"http://{name}:80") for name in names]
    pool = Pool("connectors", backends, rules, when_all_down, slow_start, **more)
    for name in up:
        pool.probed(named(pool, name), True, "", 0.0)
    return pool


def named(pool: Pool, name: str) -> Backend:
    backend = pool.by_name(name)
    assert backend is not None
    return backend


def picks(pool: Pool, count: int) -> str:
    found = [pool.pick() for _ in range(count)]
    return "".join(backend.name if backend else "-" for backend in found)


def offers(pool: Pool) -> str:
    """The backends that one request is offered, when it fails on each of them."""
    tried: list[Backend] = []
    while (backend := pool.pick(tried)) is not None:
        tried.append(backend)
    return "".join(backend.name for backend in tried)


def test_backends_take_turns_once_they_were_probed() -> None:
    assert picks(pool_of("abcd", up="abc"), 6) == "abcabc"


def test_an_ejected_backend_is_picked_by_nobody_until_it_is_readmitted() -> None:
    pool = pool_of("abc", up="abc")
    b = named(pool, "b")
    pool.evidence(b, reasons.CONNECT_REFUSED, 1.0, "10.0.0.12:4000")
    assert (b.reason, b.detail) == (reasons.CONNECT_REFUSED, "10.0.0.12:4000")
    assert picks(pool, 4) == "acac"
    pool.probed(b, True, "200", 2.0)
    assert picks(pool, 2) == "ac"
    pool.probed(b, True, "200", 3.0)
    assert (b.reason, b.detail) == (None, "")
    assert picks(pool, 3) == "acb"


def test_a_draining_backend_keeps_its_health_and_comes_back_when_it_is_ready() -> None:
    pool = pool_of("abc", up="abc")
    b = named(pool, "b")
    pool.drain(b)
    pool.drain(b)
    assert picks(pool, 4) == "acac"
    assert b.state is State.UP
    pool.ready(b)
    pool.ready(b)
    assert sorted(picks(pool, 3)) == ["a", "b", "c"]


def test_one_that_went_down_in_its_drain_waits_for_its_probes() -> None:
    pool = pool_of("ab", up="ab")
    b = named(pool, "b")
    pool.drain(b)
    pool.probed(b, False, "connection refused", 1.0)
    pool.ready(b)
    assert picks(pool, 2) == "aa"
    pool.drain(b)
    pool.probed(b, True, "", 2.0)
    pool.probed(b, True, "", 3.0)
    assert picks(pool, 2) == "aa"
    pool.ready(b)
    assert sorted(picks(pool, 2)) == ["a", "b"]


def test_with_all_down_each_is_offered_once_to_one_request() -> None:
    pool = pool_of("abc", up="ab")
    for name in "ab":
        pool.probed(named(pool, name), False, "", 1.0)
    assert [offers(pool), offers(pool)] == ["abc", "abc"]
    assert picks(pool, 4) == "abca"
    pool.drain(named(pool, "b"))
    assert sorted(offers(pool)) == ["a", "c"]


def test_with_all_down_and_refuse_nobody_is() -> None:
    assert offers(pool_of("abc", when_all_down="refuse")) == ""


def test_the_last_one_that_fails_opens_the_last_resort_to_the_same_request() -> None:
    pool = pool_of("ab", up="a")
    a, b = pool.backends
    assert pool.pick() is a
    pool.evidence(a, reasons.CONNECT_REFUSED, 1.0)
    assert pool.pick({a}) is b
    assert pool.pick({a, b}) is None


def test_when_all_in_rotation_were_tried_the_others_are() -> None:
    """One in rotation may only be suspected: the request that failed on it is not refused for that."""
    pool = pool_of("ab", up="a")
    assert pool.pick({named(pool, "a")}) is named(pool, "b")
    refusing = pool_of("ab", up="a", when_all_down="refuse")
    assert refusing.pick({named(refusing, "a")}) is None


def test_listeners_hear_of_a_change_after_it_took_effect() -> None:
    pool = pool_of("ab", up="b")
    a = named(pool, "a")
    heard: list[tuple[str, Change, Reason | None, str, bool]] = []
    pool.observers.append(
        Verdicts(lambda b, change, why, text: heard.append((b.name, change, why, text, b in pool.rotation)))
    )
    pool.probed(a, True, "200", 1.0)
    pool.probed(a, True, "200", 2.0)
    pool.evidence(a, reasons.RESPONSE_TIMEOUT, 3.0)
    pool.evidence(a, reasons.CLIENT_GONE, 4.0)
    pool.evidence(a, reasons.LANE_LOST, 5.0, "reset")
    pool.evidence(a, reasons.LANE_LOST, 6.0, "reset")
    assert heard == [
        ("a", Change.READMIT, None, "200", True),
        ("a", Change.SUSPECT, reasons.RESPONSE_TIMEOUT, "", True),
        ("a", Change.EJECT, reasons.LANE_LOST, "reset", False),
    ]


def test_a_request_that_every_backend_breaks_off_leaves_one() -> None:
    """It is a suspect, so that a probe decides at once; a connect that fails is nobody's request."""
    pool = pool_of("abc", up="abc", when_all_down="refuse")
    changes: list[Change] = []
    pool.observers.append(Verdicts(lambda backend, change, reason, detail: changes.append(change)))
    assert offers(pool) == "abc"
    for backend in pool.backends:
        pool.evidence(backend, reasons.LANE_LOST, 1.0)
    assert changes == [Change.EJECT, Change.EJECT, Change.SUSPECT]
    assert picks(pool, 2) == "cc"
    pool.evidence(named(pool, "c"), reasons.CONNECT_REFUSED, 1.0)
    assert picks(pool, 1) == "-"


def test_with_all_down_the_first_good_probe_is_full_service() -> None:
    pool = pool_of("ab", up="ab", when_all_down="refuse", slow_start=10.0)
    for backend in pool.backends:
        pool.probed(backend, False, "refused", 1.0)
    assert picks(pool, 1) == "-"
    pool.probed(named(pool, "b"), True, "200", 2.0)
    assert picks(pool, 3) == "bbb"
    pool.probed(named(pool, "a"), True, "200", 2.5)
    assert picks(pool, 3) == "bbb"


def test_the_end_of_the_last_one_recalls_who_only_waits() -> None:
    """Before the listeners hear of the end, so that the requests on it have somewhere to go."""
    pool = pool_of("abc", up="abc", when_all_down="refuse")
    a, b, c = pool.backends
    for backend in (b, c):
        pool.probed(backend, False, "refused", 1.0)
    pool.probed(c, True, "200", 2.0)
    heard: list[tuple[str, Change, str]] = []
    pool.observers.append(
        Verdicts(lambda backend, change, reason, detail: heard.append((backend.name, change, picks(pool, 1))))
    )
    pool.probed(a, False, "refused", 3.0)
    assert heard == [("c", Change.READMIT, "c"), ("a", Change.EJECT, "c")]
    assert (c.reason, c.since, b.state) == (None, 3.0, State.DOWN)


def test_a_drain_of_the_last_one_recalls_too() -> None:
    pool = pool_of("ab", up="ab", rules=Rules(rise=3), when_all_down="refuse")
    a, b = pool.backends
    pool.probed(b, False, "refused", 1.0)
    pool.probed(b, True, "200", 2.0)
    pool.drain(a)
    assert picks(pool, 2) == "bb"


def test_one_that_flaps_is_held_unless_it_is_all_there_is() -> None:
    rules = Rules(rise=1, interval=2.0, readmit_backoff=60.0)
    pool = pool_of("ab", up="ab", rules=rules, when_all_down="refuse")
    a, b = pool.backends
    pool.evidence(b, reasons.LANE_LOST, 1.0)
    pool.probed(b, True, "200", 2.0)
    pool.evidence(b, reasons.LANE_LOST, 3.0)
    pool.probed(b, True, "200", 4.0)
    assert (b.held_until, b.state) == (7.0, State.DOWN)
    pool.evidence(a, reasons.CONNECT_REFUSED, 5.0)
    assert (b.held_until, picks(pool, 1)) == (0.0, "b")


def test_one_that_comes_back_starts_slowly_and_so_does_one_after_its_drain() -> None:
    pool = pool_of("abc", up="abc", slow_start=10.0)
    a, b, c = pool.backends
    assert picks(pool, 6) == "abcabc", "at the start nobody does"
    pool.probed(c, False, "refused", 1.0)
    for now in (2.0, 3.0):
        pool.probed(c, True, "200", now)
    pool.tick(8.0)
    assert (a.ramp, c.ramp) == (1.0, 0.55)
    pool.drain(b)
    pool.tick(13.0)
    pool.ready(b)
    assert (b.ramp, c.ramp) == (0.1, 1.0)
    pool.probed(a, False, "refused", 13.0)
    pool.probed(c, False, "refused", 13.0)
    assert (picks(pool, 1), b.ramp, a.ramp) == ("b", 1.0, 1.0)


def test_one_that_was_up_when_the_pool_was_made_has_all_its_turns() -> None:
    backends = [Backend(name, f"http://{name}:80") for name in "abc"]
    backends[0].state, backends[1].state = State.UP, State.DOWN
    pool = Pool("connectors", backends, Rules(rise=1), slow_start=10.0)
    pool.probed(backends[1], True, "200", 5.0)
    pool.probed(backends[2], True, "200", 10.0)
    assert [backend.ramp for backend in backends] == [1.0, 0.55, 0.1], "a new one beside it starts slowly"


def test_one_that_is_unlike_the_others_is_kept_out_until_it_is_like_them() -> None:
    pool = pool_of("abc", up="abc", slow_start=10.0)
    c = named(pool, "c")
    verdict = pool.compare({"version": {"a": "2", "b": "2", "c": "1"}}, {}, "eject-minority")
    assert c.inconsistent == verdict.text("c") == "version is 1, most have 2"
    assert (picks(pool, 4), c.state) == ("abab", State.UP)
    assert pool.compare({"version": {"a": "2", "b": "2", "c": "2"}}, {}, "eject-minority").differences == ()
    assert (c.inconsistent, c.in_rotation, c.ramp) == ("", True, 0.1)


def test_one_that_is_unlike_the_others_serves_when_they_are_gone() -> None:
    pool = pool_of("abc", up="abc", when_all_down="refuse")
    a, b, c = pool.backends
    facts = {"version": {"a": "2", "b": "2", "c": "1"}}
    pool.compare(facts, {}, "eject-minority")
    pool.probed(a, False, "refused", 1.0)
    pool.drain(b)
    assert (picks(pool, 2), c.inconsistent) == ("cc", "")
    pool.compare(facts, {}, "eject-minority")
    assert picks(pool, 2) == "cc", "it is the only one with a say now"
    pool.ready(b)
    assert sorted(picks(pool, 2)) == ["b", "c"]


def test_one_that_is_unlike_the_others_and_down_is_still_unlike_them() -> None:
    pool = pool_of("abc", up="abc", when_all_down="refuse")
    pool.compare({"version": {"a": "2", "b": "2", "c": "1"}}, {}, "eject-minority")
    for backend in reversed(pool.backends):
        pool.probed(backend, False, "refused", 1.0)
    c = named(pool, "c")
    assert c.inconsistent
    pool.probed(c, True, "200", 2.0)
    assert (picks(pool, 1), c.inconsistent) == ("c", "")


def test_nobody_else_is_kept_out_while_an_update_is_under_way() -> None:
    pool = pool_of("abcd", up="abcd")
    pool.compare({"version": dict.fromkeys("abc", "2") | {"d": "1"}}, {}, "eject-minority")
    two_differ = {
        "version": dict.fromkeys("ab", "2") | {"c": "1", "d": "1"},
        "kvno": dict.fromkeys("abd", "3") | {"c": "4"},
    }
    assert pool.compare(two_differ, {}, "eject-minority", anew=False).ejected.keys() == {"c"}
    assert picks(pool, 4) == "abcd", "d comes back all the same"
    pool.compare(two_differ, {}, "eject-minority")
    assert sorted(picks(pool, 3)) == ["a", "b", "d"]
    pool.compare(two_differ, {}, "eject-minority", anew=False)
    assert sorted(picks(pool, 3)) == ["a", "b", "d"]


def test_inconsistent_ones_are_tried_with_those_that_are_down() -> None:
    pool = pool_of("abc", up="abc")
    pool.compare({"version": {"a": "2", "b": "2", "c": "1"}}, {}, "eject-minority")
    assert offers(pool) == "abc"


def test_its_requests_make_the_retry_budget() -> None:
    pool = Pool("connectors", [Backend("a", "http://a:80"), Backend("b", "http://b:80")], RULES, retry_budget=0.5)
    for backend in pool.backends:
        backend.requests += 10
    pool.tick(1.0)
    assert pool.retry_budget.limit == 10


def test_it_can_be_looked_at() -> None:
    pool = pool_of("abc", up="ab")
    assert repr(pool) == "<pool connectors 2 of 3 in rotation>"
    assert pool.by_name("z") is None


# --- members come and go


def up(pool: Pool, names: str) -> None:
    for name in names:
        pool.probed(named(pool, name), True, "200", 1.0)


def member(name: str, port: int = 80, **more: Any) -> Member:
    return Member(name, f"http://{name}:{port}", **more)


def test_one_that_joins_gets_work_when_a_probe_was_good() -> None:
    pool = pool_of("ab", up="ab")
    feed = Feed(pool)
    pool.join(member("c"), "dns")
    assert picks(pool, 4) == "abab"
    up(pool, "c")
    assert sorted(picks(pool, 3)) == ["a", "b", "c"]
    assert (feed.words, named(pool, "c").source) == (["+c", "c", "c:readmit"], "dns")


def test_one_that_leaves_gets_no_new_work_and_is_not_asked_again() -> None:
    pool = pool_of("ab", up="ab", when_all_down="try")
    feed = Feed(pool)
    a = named(pool, "a")
    pool.leave("a")
    assert (picks(pool, 3), feed.words, pool.by_name("a")) == ("bbb", ["-a"], None)
    assert (a.departed, a.in_rotation, a.takes_work) == (True, False, False)
    pool.probed(a, True, "200", 2.0)
    pool.evidence(a, reasons.CONNECT_REFUSED, 2.0)
    pool.reported(a, True, reasons.CONNECT_REFUSED, 2.0, "")
    assert (feed.words, picks(pool, 2)) == (["-a"], "bb"), "what is still heard of it changes nothing"
    pool.leave("b")
    assert pool.pick() is None


def test_the_last_one_to_leave_recalls_who_only_waits() -> None:
    pool = pool_of("ab", up="a", rules=Rules(rise=3))
    pool.probed(named(pool, "b"), False, "refused", 1.0)
    pool.probed(named(pool, "b"), True, "200", 2.0)
    feed = Feed(pool)
    pool.leave("a")
    assert (picks(pool, 2), feed.words) == ("bb", ["b:readmit", "-a"])


def test_a_source_says_the_whole_of_what_it_wants() -> None:
    pool = pool_of("ab", up="ab")
    feed = Feed(pool)
    assert pool.apply("dns", [member("c"), member("d")]) == ()
    assert pool.apply("dns", [member("d"), member("e")]) == ()
    assert [backend.name for backend in pool.backends] == ["a", "b", "d", "e"]
    assert [word for word in feed.words if word[0] in "+-"] == ["+c", "+d", "-c", "+e"]


def test_the_same_name_at_another_url_is_another_member() -> None:
    pool = pool_of("ab", up="ab")
    pool.apply("dns", [member("c")])
    up(pool, "c")
    feed, before = Feed(pool), named(pool, "c")
    pool.apply("dns", [member("c", port=81)])
    after = named(pool, "c")
    assert (feed.words, after is before, after.state) == (["-c", "+c", "c"], False, State.NEW)


def test_a_file_wins_a_quarrel_of_names_and_an_operator_over_what_was_discovered() -> None:
    pool = pool_of("ab", up="ab")
    pool.apply("dns", [member("a", port=81), member("c", port=82)])
    pool.apply("operator", [member("c", port=83), member("b", port=84)])
    assert [(one.name, one.port, one.source) for one in pool.backends] == [
        ("a", 80, "file"),
        ("b", 80, "file"),
        ("c", 83, "operator"),
    ]
    pool.apply("operator", [])
    assert [(one.name, one.port, one.source) for one in pool.backends][2:] == [("c", 82, "dns")]


def test_a_member_is_new_since_it_joined() -> None:
    pool = pool_of("ab", up="ab")
    pool.tick(50.0)
    assert pool.join(member("c")).since == 50.0


def test_an_order_belongs_to_the_name_and_outlives_the_member() -> None:
    pool = pool_of("ab", up="ab")
    pool.apply("dns", [member("c")])
    up(pool, "c")
    pool.drain(named(pool, "c"), "root", 5.0)
    pool.apply("dns", [])
    pool.apply("dns", [member("c", port=81)])
    up(pool, "c")
    assert (named(pool, "c").draining, picks(pool, 2)) == (True, "ab")
    assert pool.orders["c"] == Order(drain=True, stamps={"drain": Stamp("root", 5.0)})
    pool.ready(named(pool, "c"))
    assert ("c" in picks(pool, 3), pool.orders) == (True, {})


def test_an_order_may_come_before_its_member() -> None:
    pool = pool_of("ab", up="ab")
    pool.order("c", Order(drain=True, weight=4))
    c = pool.join(member("c"))
    assert (c.draining, c.weight) == (True, 4)


def test_a_weight_that_was_ordered_is_the_weight_until_the_order_ends() -> None:
    pool = pool_of("ab", up="ab")
    a = named(pool, "a")
    pool.order("a", Order(weight=3))
    assert Counter(picks(pool, 8)) == {"a": 6, "b": 2}
    pool.apply("file", [member("a", weight=2), member("b")])
    assert a.weight == 3
    pool.order("a", Order())
    assert (a.weight, Counter(picks(pool, 9))) == (2, {"a": 6, "b": 3})


def test_a_weight_of_zero_is_no_work_at_all() -> None:
    pool = pool_of("ab", up="ab", when_all_down="try")
    pool.order("a", Order(weight=0))
    assert (picks(pool, 2), named(pool, "a").state) == ("bb", State.UP)
    pool.probed(named(pool, "b"), False, "refused", 2.0)
    assert picks(pool, 2) == "bb"


def test_requests_of_those_that_left_still_count_for_the_retry_budget() -> None:
    pool = pool_of("ab", up="ab", retry_budget=0.2)
    named(pool, "a").requests = 1000
    pool.tick(1.0)
    pool.leave("a")
    pool.tick(2.0)
    assert pool.retry_budget.limit == 200


def test_standbys_work_while_too_few_others_do() -> None:
    pool = pool_of("ab", up="ab")
    pool.apply("dns", [member("c", standby=True), member("d", standby=True)])
    up(pool, "cd")
    feed = Feed(pool)
    assert (picks(pool, 4), named(pool, "c").state) == ("abab", State.UP)
    pool.probed(named(pool, "a"), False, "refused", 2.0)
    assert picks(pool, 2) == "bb", "one is enough, by default"
    pool.probed(named(pool, "b"), False, "refused", 3.0)
    assert (sorted(picks(pool, 4)), feed.words) == (list("ccdd"), ["a:eject", "c", "d", "b:eject"])
    pool.probed(named(pool, "b"), True, "200", 4.0)
    pool.probed(named(pool, "b"), True, "200", 5.0)
    assert (picks(pool, 2), named(pool, "c").in_rotation) == ("bb", False)


def test_the_last_one_may_be_ejected_by_its_users_when_a_standby_is_there() -> None:
    pool = pool_of("a", up="a")
    pool.evidence(named(pool, "a"), reasons.LANE_LOST, 1.0)
    assert named(pool, "a").state is State.UP
    pool.apply("dns", [member("s", standby=True)])
    up(pool, "s")
    pool.evidence(named(pool, "a"), reasons.LANE_LOST, 2.0)
    assert (named(pool, "a").state, picks(pool, 1)) == (State.DOWN, "s")


def test_what_a_pool_cannot_have_is_left_out_and_told() -> None:
    pool = pool_of("ab", up="ab", max_backends=4, refuse=lambda one: "is mine" if one.url.endswith(":443") else "")
    wanted = [
        member("c"),
        member("c", port=81),
        member("d", port=443),
        Member("e/f", "http://e:1"),
        member("g", weight=101),
    ]
    told = pool.apply("dns", [*wanted, Member("h", "ftp://h"), member("i"), member("j")])
    assert [backend.name for backend in pool.backends] == ["a", "b", "c", "i"]
    assert told == pool.membership.refused["dns"]
    for sentence, part in zip(
        told,
        ["two of this name", "is mine", "slash", "101", "scheme", "max_backends (4)"],
        strict=True,
    ):
        assert part in sentence
    assert pool.apply("dns", [member("c")]) == ()
    assert pool.membership.refused == {}


def test_ten_thousand_members_join_and_leave() -> None:
    pool = pool_of("ab", up="ab")
    pool.apply("dns", [Member(f"n{n}", f"http://10.0.{n // 250}.{n % 250}:80") for n in range(9_998)])
    assert len(pool.backends) == 10_000
    pool.apply("dns", [])
    assert picks(pool, 2) == "ab"
