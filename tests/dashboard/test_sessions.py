from __future__ import annotations

import json

from lbproxy.dashboard.sessions import MOST, MOST_OF_ONE, Sessions, as_views


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_the_only_way_in_and_is_not_kept() -> None:
    sessions = Sessions(Clock(), 60.0, 600.0)
    token, session = sessions.begin("olga", "password", "operator")
    assert sessions.find(token) is session
    assert sessions.find("") is None
    assert sessions.find(session.digest) is None
    assert token not in json.dumps(sessions.export())
    other, _ = sessions.begin("olga", "password", "operator")
    assert other != token


def test_it_ends_after_a_time_without_use_and_after_a_time_at_all() -> None:
    clock = Clock()
    sessions = Sessions(clock, 60.0, 600.0)
    token, session = sessions.begin("olga", "password", "viewer")
    clock.now += 59
    assert sessions.find(token, used=False) is session
    clock.now += 1
    assert sessions.find(token) is None
    assert session.over
    token, session = sessions.begin("olga", "password", "viewer")
    for _ in range(11):
        clock.now += 54
        assert sessions.find(token) is session
    clock.now += 10
    assert not sessions.lasts(session)


def test_signing_out_ends_it() -> None:
    sessions = Sessions(Clock(), None, 600.0)
    token, session = sessions.begin("olga", "password", "viewer")
    sessions.end(session)
    sessions.end(session)
    assert sessions.find(token) is None


def test_there_are_not_too_many() -> None:
    clock = Clock()
    sessions = Sessions(clock, None, 600.0)
    first, _ = sessions.begin("olga", "password", "viewer")
    for number in range(MOST):
        clock.now += 0.001
        sessions.begin(f"olga{number}", "password", "viewer")
    assert sessions.find(first) is None
    assert len(sessions.export()) == MOST


def test_a_user_who_signs_in_again_and_again_ends_no_other_session() -> None:
    clock = Clock()
    sessions = Sessions(clock, None, 600.0)
    other, _ = sessions.begin("olga", "password", "operator")
    same_name, _ = sessions.begin("vera", "kerberos", "operator")
    first, _ = sessions.begin("vera", "password", "viewer")
    for _ in range(MOST):
        clock.now += 0.001
        sessions.begin("vera", "password", "viewer")
    assert sessions.find(other) is not None
    assert sessions.find(same_name) is not None
    assert sessions.find(first) is None
    assert len(sessions.export()) == 2 + MOST_OF_ONE


def test_all_of_a_user_end() -> None:
    sessions = Sessions(Clock(), None, 600.0)
    tokens = [sessions.begin(name, how, "viewer")[0] for how in ("password", "kerberos") for name in ("olga", "vera")]
    sessions.end_of("password", {"olga", "nobody"})
    assert [sessions.find(token) is not None for token in tokens] == [False, True, True, True]


def test_a_form_is_of_one_session() -> None:
    sessions = Sessions(Clock(), None, 600.0)
    (_, one), (_, other) = (sessions.begin("olga", "password", "viewer") for _ in range(2))
    assert one.owns(one.csrf)
    assert not one.owns(other.csrf)
    assert not one.owns("é\ud800")


def test_the_next_process_goes_on() -> None:
    clock = Clock()
    sessions = Sessions(clock, 60.0, 600.0)
    token, before = sessions.begin("olga", "kerberos", "operator", "olga")
    sessions.begin("bert", "password", "viewer")
    handed_over = as_views(json.loads(json.dumps(sessions.export())))
    after = Sessions(clock, 60.0, 600.0)
    after.adopt(handed_over[0], "viewer", "olga")
    found = after.find(token)
    assert found is not None
    assert (found.user, found.how, found.role) == ("olga", "kerberos", "viewer")
    assert found.owns(before.csrf), "a form that is open can be sent"
    clock.now += 60
    late = Sessions(clock, 60.0, 600.0)
    late.adopt(handed_over[1], "viewer", "bert")
    assert late.export() == []


def test_what_is_no_session_is_left_out() -> None:
    good = {"digest": "x", "user": "olga", "how": "password", "began": 1, "used": 1.5}
    assert as_views([good, {**good, "user": 7}, {"digest": "x"}, 3]) == [good]
    assert as_views(None) == []
