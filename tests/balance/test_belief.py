from __future__ import annotations

import pytest

from lbproxy.balance.belief import SECOND_ANSWER, Belief, Rules, Verdict
from lbproxy.balance.member import Member


def members(*names: str) -> tuple[Member, ...]:
    return tuple(Member(name, f"http://{name}:80") for name in names)


def of(*names: str, rules: Rules = Rules()) -> Belief:  # noqa: B008 # a tuple
    belief = Belief(rules)
    belief.answered(members(*names), 0.0)
    return belief


def test_a_first_answer_counts_at_once_and_the_same_one_changes_nothing() -> None:
    belief = Belief()
    assert belief.answered(members("a", "b"), 1.0) is Verdict.CHANGED
    assert belief.answered(members("a", "b"), 2.0) is Verdict.SAME
    assert (belief.members, belief.answered_at) == (members("a", "b"), 2.0)


def test_nothing_at_all_is_nothing_new() -> None:
    belief = Belief()
    assert belief.answered((), 1.0) is Verdict.SAME
    assert belief.doubt is None


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("abcd", Verdict.SAME),
        ("abcde", Verdict.CHANGED),
        ("abc", Verdict.CHANGED),
        ("ab", Verdict.CHANGED),
        ("abxyz", Verdict.CHANGED),
        ("a", Verdict.DOUBTED),
        ("axyz", Verdict.DOUBTED),
        ("wxyz", Verdict.DOUBTED),
        ("", Verdict.DOUBTED),
    ],
)
def test_more_than_half_that_go_at_once_are_doubted(answer: str, verdict: Verdict) -> None:
    belief = of(*"abcd")
    assert belief.answered(members(*answer), 1.0) is verdict
    assert belief.members == members(*("abcd" if verdict is Verdict.DOUBTED else answer))


def test_who_moves_to_another_url_is_gone() -> None:
    belief = of(*"abc")
    moved = tuple(member._replace(url="http://elsewhere:1") for member in members("a", "b"))
    assert belief.answered((*moved, *members("c")), 1.0) is Verdict.DOUBTED


def test_a_second_answer_without_half_counts() -> None:
    belief = of(*"abc")
    assert belief.answered(members("a"), 5.0) is Verdict.DOUBTED
    assert belief.doubt is not None
    assert belief.doubt.until == 5.0 + SECOND_ANSWER
    assert "2 of 3 members are gone" in belief.doubt.text
    assert belief.answered(members("a"), 5.5) is Verdict.DOUBTED, "it is too early to be another answer"
    assert belief.answered(members("x"), 6.0) is Verdict.CHANGED
    assert belief.members == members("x")
    assert repr(belief) == "<belief in 1 members: sound>"


def test_a_second_answer_with_everybody_ends_the_doubt() -> None:
    belief = of(*"abc")
    belief.answered(members("a"), 5.0)
    assert belief.answered(members(*"abc"), 6.0) is Verdict.SAME
    assert belief.doubt is None
    assert belief.answered(members("a"), 7.0) is Verdict.DOUBTED, "it begins anew"


def test_an_empty_answer_counts_after_its_time() -> None:
    belief = of("a", rules=Rules("keep", 30.0))
    assert [belief.answered((), now) for now in (5.0, 34.9)] == [Verdict.DOUBTED] * 2
    assert belief.members == members("a")
    assert belief.doubt is not None
    assert (belief.doubt.since, belief.doubt.until) == (5.0, 35.0)
    assert belief.answered((), 35.0) is Verdict.CHANGED
    assert belief.members == ()


@pytest.mark.parametrize("rules", [Rules("accept", 30.0), Rules("keep", 0.0)])
def test_an_empty_answer_counts_at_once_if_that_is_wanted(rules: Rules) -> None:
    belief = of(*"abc", rules=rules)
    assert belief.answered((), 1.0) is Verdict.CHANGED
    assert belief.members == ()


def test_one_kind_of_doubt_does_not_count_for_the_other() -> None:
    belief = of(*"abc", rules=Rules("keep", 10.0))
    belief.answered(members("a"), 1.0)
    assert belief.answered((), 2.5) is Verdict.DOUBTED
    assert belief.doubt is not None
    assert belief.doubt.until == 12.5
    assert belief.answered(members("a"), 13.0) is Verdict.DOUBTED


def test_a_failure_keeps_the_members_and_the_time_of_the_first_one() -> None:
    belief = of(*"abc")
    assert belief.stale(4.0) == 0.0
    assert belief.failed("no answer", 5.0)
    assert not belief.failed("SERVFAIL", 6.0)
    assert (belief.stale(9.0), belief.error, belief.failures) == (4.0, "SERVFAIL", 2)
    assert belief.members == members(*"abc")
    assert "SERVFAIL" in repr(belief)
    assert belief.answered(members(*"abc"), 9.0) is Verdict.SAME
    assert (belief.stale(10.0), belief.error, belief.failures) == (0.0, "", 0)


@pytest.mark.parametrize("answer", [(), members("a")])
def test_a_failure_ends_a_doubt(answer: tuple[Member, ...]) -> None:
    belief = of(*"abc", rules=Rules("keep", 1.0))
    belief.answered(answer, 1.0)
    belief.failed("no answer", 2.0)
    assert belief.answered(answer, 3.0) is Verdict.DOUBTED


def test_who_says_that_it_leaves_is_gone_at_once_also_the_last_one() -> None:
    belief = of(*"abc")
    assert belief.answered(members("a"), 1.0, {"b", "c"}) is Verdict.CHANGED
    assert belief.members == members("a")
    assert belief.answered((), 2.0, {"a"}) is Verdict.CHANGED
    assert (belief.members, belief.doubt) == ((), None)


def test_one_that_leaves_takes_no_others_with_it() -> None:
    """Three of the other four have vanished without a word."""
    belief = of(*"abcde")
    assert belief.answered(members("a"), 1.0, {"b"}) is Verdict.CHANGED
    assert belief.members == members(*"acde")
    assert belief.doubt is not None
    assert belief.answered(members("a"), 1.5, {"b"}) is Verdict.DOUBTED
    assert belief.answered(members("a"), belief.doubt.until, {"b"}) is Verdict.CHANGED
    assert belief.members == members("a")


def test_one_that_has_come_back_is_no_more_leaving() -> None:
    belief = of(*"ab")
    assert belief.answered(members("a", "b"), 1.0, {"b"}) is Verdict.SAME
