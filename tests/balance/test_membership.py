from __future__ import annotations

from lbproxy.balance.member import Member
from lbproxy.balance.membership import FILE, OPERATOR, Membership
from lbproxy.balance.orders import Stamp


def member(name: str, port: int = 80) -> Member:
    return Member(name, f"http://{name}:{port}")


def test_sources_count_in_their_order_whenever_they_speak() -> None:
    membership = Membership(10)
    membership.say("dns", [member("a", 1), member("b", 1), member("c", 1)])
    membership.say(OPERATOR, [member("b", 2), member("a", 2)])
    membership.say(FILE, [member("a", 3)])
    assert membership.sources == (FILE, OPERATOR, "dns")
    assert membership.all() == {
        "a": (FILE, member("a", 3)),
        "b": (OPERATOR, member("b", 2)),
        "c": ("dns", member("c", 1)),
    }


def test_each_source_has_its_own_refusals_until_it_speaks_again() -> None:
    membership = Membership(10, lambda one: "that is me" if one.name == "me" else "")
    membership.say("dns", [member("me"), member("a")])
    membership.say("kubernetes", [member("b"), member("b", 2)])
    assert membership.refused == {
        "dns": ("that is me",),
        "kubernetes": ("b: there are two of this name, http://b:80 stays",),
    }
    membership.say("dns", [member("a")])
    assert membership.refused.keys() == {"kubernetes"}
    assert membership.of("dns") == (member("a"),)
    assert membership.of("etcd") == ()


def test_of_many_members_only_those_that_are_new_are_judged() -> None:
    judged: list[str] = []

    def refuse(one: Member) -> str:
        judged.append(one.url)
        return "no" if one.name == "c" else ""

    membership = Membership(10, refuse)
    membership.say("dns", [member("a"), member("b"), member("c")])
    membership.say("dns", [member("a"), member("b", 2), member("c"), member("a")])
    assert judged == ["http://a:80", "http://b:80", "http://c:80", "http://b:2", "http://c:80"]
    assert membership.refused == {"dns": ("no", "a: there are two of this name, http://a:80 stays")}


def test_a_member_is_left_out_while_another_source_has_the_name_at_another_url() -> None:
    membership = Membership(10)
    membership.say("dns", [member("a", 1), member("b", 1), member("c", 1)])
    membership.say(OPERATOR, [member("a", 2), member("b", 1)])
    assert membership.refused == {"dns": ("a: operator has a backend of this name, at http://a:2",)}
    membership.say(OPERATOR, [])
    assert membership.refused == {}


def test_all_sources_together_have_a_limit() -> None:
    membership = Membership(3)
    membership.say(FILE, [member("a"), member("b")])
    membership.say("dns", [member("c"), member("d")])
    assert list(membership.all()) == ["a", "b", "c"]
    assert membership.refused["dns"] == ("d: the pool has max_backends (3) already",)
    assert repr(membership) == "<membership 2 of file, 1 of dns>"


def test_a_source_may_tell_who_added_a_member() -> None:
    membership = Membership(3)
    membership.say(FILE, [member("a")])
    membership.say(OPERATOR, [member("b")._replace(added=Stamp("olga", 5.0))])
    assert membership.added(OPERATOR, "b") == Stamp("olga", 5.0)
    assert membership.added(FILE, "a") is membership.added(OPERATOR, "a") is membership.added("dns", "b") is None


def test_what_is_as_it_was_is_the_same_object() -> None:
    """So that of thousands of members only those that have changed are looked at."""
    membership = Membership(10)
    a, b = Member("a", "http://a:80"), Member("b", "http://b:80")
    membership.say("dns", [a, b])
    before = membership.all()
    membership.say("dns", [a, b._replace(weight=2), Member("c", "http://c:80")])
    now = membership.all()
    assert now["a"] is before["a"]
    assert now["b"] == ("dns", b._replace(weight=2))
    membership.say("operator", [a])
    assert membership.all()["a"] == ("operator", a), "of another source it is another"
