from itertools import count

import pytest

from bench.load.handshakes import Dialogue, Tally, merged
from bench.load.scenario import TABLE


def test_merges_what_the_threads_saw() -> None:
    tallies = [Tally([0.001 * n for n in range(1, 51)], 1, 500), Tally([0.001 * n for n in range(51, 102)], 2, 510)]
    load = merged(tallies, 2.0)
    assert (load.requests, load.errors, load.bytes, load.seconds) == (101, 3, 1010, 2.0)
    assert load.p50_us == pytest.approx(51_000)
    assert load.p99_us == pytest.approx(100_000)
    assert 100_000 < load.p999_us < 101_000


@pytest.mark.parametrize("took", [[], [0.002]])
def test_too_few_connections_have_no_percentiles(took: list[float]) -> None:
    load = merged([Tally(took)], 1.0)
    assert (load.requests, load.p99_us) == (len(took), 0.0)


def test_a_login_begins_with_a_token_that_no_other_has() -> None:
    dialogue = Dialogue(TABLE["login"], count())
    [(first, status)], [(second, _)] = dialogue.next(), dialogue.next()
    assert first.startswith(b"GET /64 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Negotiate " in first
    assert status == 200
    assert first != second


def test_a_login_may_be_challenged_first() -> None:
    challenged, token, *after = Dialogue(TABLE["login-401"], count()).next()
    assert [status for _, status in (challenged, token, *after)] == [401, 200, 200, 200]
    assert [b"Authorization: " in request for request, _ in (challenged, token, *after)] == [False, True, False, False]
    assert {request.partition(b" HTTP/")[0] for request, _ in (challenged, token)} == {b"GET /login"}


def test_without_tokens_each_connection_asks_the_same() -> None:
    dialogue = Dialogue(TABLE["tls-new"], count())
    assert dialogue.next() == dialogue.next()
