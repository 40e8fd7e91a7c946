from xml.etree import ElementTree

from bench.load.load import Load
from bench.load.outcome import Outcome, Result, Round
from bench.load.plot import svg

SVG = "{http://www.w3.org/2000/svg}"


def result(scenario: str, peer: str, *costs: float) -> Result:
    load = Load(1000, 0, 0.5, 300_000, 1500.0, 2000.0, 3000.0)
    return Result(scenario, peer, 5_000_000, tuple(Round(load, round(cost * 1_000_000)) for cost in costs))


def drawn(*results: Result) -> tuple[list[float], list[str]]:
    """The lengths of the bars and the texts."""
    root = ElementTree.fromstring(svg(Outcome({}, results, {}), 1.1))
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["width"] != "100%"]
    return bars, [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_bar_is_as_long_as_its_ratio() -> None:
    bars, texts = drawn(result("small", "lbproxy", 9, 9), result("small", "nginx", 10, 10))
    assert bars[0] / bars[1] == 0.9
    assert "0.90 (9.0 us)" in texts


def test_what_has_no_ratio_has_no_bar() -> None:
    bars, texts = drawn(
        result("small", "lbproxy", 9, 12), result("small", "nginx", 10, 10), result("log", "envoy", 1, 1)
    )
    assert len(bars) == 1
    assert "lbproxy: spread 1.33" in texts
    assert "no nginx to compare with" in texts


def test_a_bar_ends_where_the_picture_does() -> None:
    bars, texts = drawn(result("small", "caddy", 90, 90), result("small", "nginx", 10, 10))
    assert bars[0] / bars[1] == 6
    assert "9.00 (90.0 us)" in texts
