from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import Config


def test_there_is_none_by_default(load_text: Callable[..., Config], sound: str) -> None:
    assert load_text(sound).tracing is None


def test_defaults(load_text: Callable[..., Config], sound: str) -> None:
    tracing = load_text(f"{sound}\n[tracing]\n").tracing
    assert tracing is not None
    assert (tracing.endpoint, tracing.sample, tracing.service_name) == ("", 0.01, "lbproxy")


@pytest.mark.parametrize(
    ("endpoint", "read"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ("https://collector.corp.example/", "https://collector.corp.example"),
        ("https://[::1]:4318/otlp/", "https://[::1]:4318/otlp"),
    ],
)
def test_endpoints(endpoint: str, read: str, load_text: Callable[..., Config], sound: str) -> None:
    tracing = load_text(f'{sound}\n[tracing]\nendpoint = "{endpoint}"').tracing
    assert tracing is not None
    assert tracing.endpoint == read


@pytest.mark.parametrize(
    "line",
    [
        'endpoint = "127.0.0.1:4318"',
        'endpoint = "grpc://127.0.0.1:4317"',
        'endpoint = "http://"',
        'endpoint = "http://a:b@c:4318"',
        'endpoint = "http://c:4318?x=1"',
        'endpoint = "http://c:4318#"',
        'endpoint = "http://c:99999"',
        "endpoint = 4318",
        "sample = 1.01",
        "sample = -0.1",
        'sample = "1%"',
        "sample = nan",
        "sample = true",
        'service_name = ""',
    ],
)
def test_impossible_values(line: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    [problem] = problems_of(f"{sound}\n[tracing]\n{line}")
    assert problem.startswith(f"tracing.{line.split(' ')[0]}: ")


@pytest.mark.parametrize("value", ["0", "1", "0.5", "1e-6"])
def test_shares(value: str, load_text: Callable[..., Config], sound: str) -> None:
    tracing = load_text(f"{sound}\n[tracing]\nsample = {value}").tracing
    assert tracing is not None
    assert tracing.sample == float(value)
