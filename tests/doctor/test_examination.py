from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from lbproxy.doctor.balancer import directory, realm, sight
from lbproxy.doctor.connector import ldap, listening, service, tenant
from lbproxy.doctor.examination import WITHIN, Result, examine
from lbproxy.doctor.finding import Check, Found, Outcome, UnseenError, ok, problem, warning
from lbproxy.errors import MissingExtraError
from lbproxy.instance import operand


def check(look: Callable[[], Found | Awaitable[Found]], name: str = "one") -> Check:
    return Check(name, "area", "it matters", look)


def one(look: Callable[[], Found | Awaitable[Found]], within: float = 5.0) -> Result:
    [result] = examine([check(look)], within=within)
    return result


async def nothing_comes() -> Found:
    await asyncio.Event().wait()
    return []


def hangs() -> Found:
    threading.Event().wait()
    return []


def crashes() -> Found:
    secret = "the password"
    raise KeyError(secret)


def refuses() -> Found:
    raise UnseenError("no rights", "as root")


def lacks() -> Found:
    raise MissingExtraError("LDAP", "doctor")


def test_results_are_in_order_and_told_as_they_come() -> None:
    async def later() -> Found:
        await asyncio.sleep(0)
        return [ok("later")]

    told: list[str] = []
    checks = [check(later, "a"), check(lambda: [ok("now")], "b")]
    results = examine(checks, lambda result: told.append(result.check.name))
    assert [one.findings[0].found for one in results] == ["later", "now"]
    assert sorted(told) == ["a", "b"]


def test_one_that_hangs_is_not_seen_and_the_others_go_on() -> None:
    results = examine([check(nothing_comes), check(hangs), check(lambda: [ok("well")])], within=0.05)
    assert [one.outcome for one in results] == [Outcome.UNSEEN, Outcome.UNSEEN, Outcome.OK]
    assert results[1].findings[0].found == "no answer within 0.05 s"


def test_one_that_crashes_is_reported_without_what_it_held() -> None:
    [found] = one(crashes).findings
    assert found.outcome is Outcome.UNSEEN
    assert found.found.startswith("the check crashed: KeyError in crashes, line ")
    assert "password" not in str(found)


def test_what_cannot_be_seen_says_why() -> None:
    [found] = one(refuses).findings
    assert (found.outcome, found.found, found.repair) == (Outcome.UNSEEN, "no rights", "as root")
    assert "lbproxy[doctor]" in one(lacks).findings[0].found


def test_only_what_is_wrong_is_explained() -> None:
    found = one(lambda: [ok("well"), problem("bad"), warning("doubtful", "its own")]).findings
    assert [each.why for each in found] == ["", "it matters", "its own"]


def test_the_worst_finding_is_that_of_the_check() -> None:
    assert one(lambda: [ok("well"), warning("doubtful")]).outcome is Outcome.WARNING
    assert one(lambda: []).outcome is Outcome.OK


def test_what_a_check_waits_for_fits_into_its_time() -> None:
    """Where all are silent, each says who was, before it is cut off; the whole takes less than 10 s then."""
    one_after_the_other = {
        "directory": sum(directory._WITHIN),
        "sign-in": sight._SIGN_IN,
        "ldap": ldap._SEARCH,
        "tls": ldap._WITHIN,
        "tenant": tenant._WITHIN.total or WITHIN,
        "PORT": listening._WITHIN,
        "firewall": 3 * listening._WITHIN,
        "service": service._WITHIN,
        "beside": operand._TIMEOUT,
        "kdcs": realm._WITHIN,
    }
    assert {name for name, seconds in one_after_the_other.items() if seconds > WITHIN - 1} == set()
    assert WITHIN < 9
