from xml.etree import ElementTree

from bench.load.outcome import Result
from bench.load.peers import AS_BASE
from bench.load.plot import svg
from tests.bench.made_up import outcome, result

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*runs: list[Result]) -> tuple[list[float], list[str]]:
    """The lengths of the bars and the texts."""
    root = ElementTree.fromstring(svg(outcome(*runs)))
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["width"] != "100%"]
    return bars, [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_bar_is_as_long_as_its_ratio() -> None:
    bars, texts = drawn([result("lbproxy", 9, 9), result("nginx", 10, 10)])
    assert bars[0] / bars[1] == 0.9
    assert "0.90 (9.0 us)" in texts


def test_of_several_runs_the_worst_is_drawn() -> None:
    bars, _ = drawn(*([result("lbproxy", cost, cost), result("nginx", 10, 10)] for cost in (8, 9, 7)))
    assert len(bars) == 2
    assert bars[0] / bars[1] == 0.9


def test_what_has_no_ratio_has_no_bar() -> None:
    bars, texts = drawn(
        [result("lbproxy", 9, 12), result("nginx", 10, 10), result("envoy", 1, 1, scenario="log")],
    )
    assert len(bars) == 1
    assert "noise: 0.90 to 1.20" in texts
    assert "no nginx to compare with" in texts


def test_a_bar_ends_where_the_picture_does() -> None:
    bars, texts = drawn([result("caddy", 90, 90), result("nginx", 10, 10)])
    assert bars[0] / bars[1] == 6
    assert "9.00 (90.0 us)" in texts


def test_lbproxy_at_other_work_is_not_drawn() -> None:
    bars, _ = drawn([result("lbproxy", 9, 9), result("nginx", 10, 10), result(AS_BASE, 9, 9)])
    assert len(bars) == 2
