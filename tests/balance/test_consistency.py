from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.consistency import Difference, Facts, Verdict, judge

NAMES = "abcde"


def facts(**values: str) -> dict[str, dict[str, str | None]]:
    """version="112" is 1 on a, 1 on b, 2 on c; "-" is not known."""
    return {
        fact: {name: None if value == "-" else value for name, value in zip(NAMES, row, strict=False)}
        for fact, row in values.items()
    }


@pytest.mark.parametrize(
    ("row", "voters", "differ", "ejected"),
    [
        ("111", "abc", "", ""),
        ("112", "abc", "c", "c"),
        ("12", "ab", "ab", ""),  # a tie: who is right?
        ("1122", "abcd", "abcd", ""),
        ("1123", "abcd", "abcd", ""),  # half is no majority
        ("11122", "abcde", "de", "de"),
        ("123", "abc", "abc", ""),
        ("2", "a", "", ""),
        ("11-", "abc", "", ""),
        ("1-2", "abc", "ac", ""),  # what is not known is no evidence
        ("1--22", "abcde", "a", ""),  # ... nor a vote: two of five are not most
        ("111-2", "abcde", "e", "e"),
        ("--2", "abc", "", ""),
        ("---", "abc", "", ""),
        ("112", "ac", "abc", ""),  # b is down or draining: what it has says nothing of what is right ...
        ("112", "ab", "c", "c"),  # ... but it must not come back as it is
        ("112", "c", "ab", ""),  # whoever is left is right for now, and is not the majority
        ("1112", "d", "abc", ""),
        ("112", "", "abc", ""),
    ],
)
def test_the_majority_is_right_and_the_minority_is_ejected(row: str, voters: str, differ: str, ejected: str) -> None:
    verdict = judge(facts(version=row), {}, "eject-minority", set(voters))
    assert "".join(name for one in verdict.differences for name in one.names) == differ
    assert "".join(verdict.ejected) == ejected
    assert judge(facts(version=row), {}, "warn", set(voters)) == Verdict(verdict.differences)


@pytest.mark.parametrize(
    ("row", "voters", "differ", "ejected"),
    [
        ("111", "abc", "", ""),
        ("112", "abc", "c", "c"),
        ("122", "abc", "bc", ""),  # the majority is never ejected, wrong as it is
        ("12", "ab", "b", ""),
        ("222", "abc", "abc", ""),
        ("1-2", "abc", "c", ""),
        ("2--", "abc", "a", ""),
        ("211", "a", "a", ""),  # never the last
    ],
)
def test_what_is_expected_is_right(row: str, voters: str, differ: str, ejected: str) -> None:
    verdict = judge(facts(version=row), {"version": "1"}, "eject-minority", set(voters))
    assert "".join(name for one in verdict.differences for name in one.names) == differ
    assert "".join(verdict.ejected) == ejected


@pytest.mark.parametrize(
    ("version", "certificate", "ejected"),
    [
        ("11121", "xxxxy", "de"),
        ("11121", "xxxyx", "d"),
        ("11221", "xxxxy", "cd"),  # all three were the majority: the first fact counts
        ("12121", "xxxxy", "bd"),
        ("12345", "xxxxy", "e"),
    ],
)
def test_the_facts_together_never_eject_the_majority(version: str, certificate: str, ejected: str) -> None:
    verdict = judge(facts(version=version, certificate=certificate), {}, "eject-minority", set("abcde"))
    assert "".join(verdict.ejected) == ejected


def test_who_differs_in_what_is_said() -> None:
    verdict = judge(facts(version="1121", address="xxy-", kvno="3445"), {"address": "x"}, "eject-minority", set("abcd"))
    assert [str(one) for one in verdict.differences] == [
        "version: 1 on a, b, d; 2 on c",
        "address: x on a, b; y on c",
        "kvno: 3 on a; 4 on b, c; 5 on d",
    ]
    c = "version is 2, most have 1; address is y, expected x; kvno is 4, others differ and none has a majority"
    assert (verdict.text("c"), verdict.ejected) == (c, {"c": c})
    assert verdict.text("a") == "kvno is 3, others differ and none has a majority"
    assert judge(facts(version="11"), {}, "warn", set("ab")).text("a") == ""


def test_equal_findings_are_equal_verdicts() -> None:
    first, second, third = (
        judge(facts(version=row), {}, "eject-minority", set("abc")) for row in ("112", "112", "113")
    )
    assert first == second != third
    assert first.differences == (Difference("version", {"a": "1", "b": "1", "c": "2"}, "1", False),)


values = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1", "2", "3", None]))


@given(
    st.dictionaries(st.sampled_from(["version", "certificate"]), values),
    st.dictionaries(st.sampled_from(["version", "certificate"]), st.sampled_from("12")),
    st.sets(st.sampled_from(NAMES)),
)
def test_no_facts_eject_the_majority_or_somebody_of_whom_nothing_is_known(
    found: Facts, expected: dict[str, str], voters: set[str]
) -> None:
    verdict = judge(found, expected, "eject-minority", voters)
    ejected = set(verdict.ejected)
    assert 2 * len(ejected & voters) < len(voters) or not ejected
    assert ejected <= {name for read in found.values() for name, value in read.items() if value is not None}
    assert all(verdict.ejected.values())


@pytest.mark.parametrize(
    ("row", "voters", "kept_out", "ejected"),
    [
        ("1-2", "abc", "c", "c"),  # b cannot be read any more
        ("--2", "abc", "c", ""),  # there is nothing that it differs from
        ("1--2", "abcd", "d", "d"),
        ("122", "abc", "c", "a"),  # it is as most are by now
        ("1-1", "abc", "c", ""),
        ("112", "ac", "c", ""),  # with b down it would be half of the voters
        ("1-22", "abcd", "cd", ""),
        ("1-23", "abcd", "c", "c"),  # d is another one that differs, and there is no evidence against it
        ("1-2", "abc", "", ""),
        ("1122", "abcd", "d", ""),  # a tie of what is known
    ],
)
def test_one_that_is_kept_out_stays_out_while_nothing_speaks_for_it(
    row: str, voters: str, kept_out: str, ejected: str
) -> None:
    verdict = judge(facts(version=row), {}, "eject-minority", set(voters), set(kept_out))
    assert "".join(verdict.ejected) == ejected
    if kept_out and ejected == kept_out:
        assert "none has a majority" in verdict.ejected[kept_out]


def test_one_that_is_kept_out_for_an_expected_value_stays_out_too() -> None:
    verdict = judge(facts(version="1-2"), {"version": "1"}, "eject-minority", {*"abc"}, {"c"})
    assert verdict.ejected == {"c": "version is 2, expected 1"}
