import pytest

from bench.load.handshakes import Tally, merged


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
