import json

import pytest

from bench.errors import BenchError
from bench.heads import negotiate_parts
from bench.load.load import Load, parse, script
from bench.load.scenario import TABLE

OUTPUT = """Running 1s test @ http://127.0.0.1:8080/64
  1 threads and 64 connections
Requests/sec:  13112.10
result {"requests":13112,"errors":2,"seconds":1.000001,"bytes":2900000,"p50_us":4260,"p99_us":27650,"p999_us":42460}
"""


def test_reads_the_line_with_the_figures() -> None:
    assert parse(OUTPUT) == Load(13112, 2, 1.000001, 2900000, 4260, 27650, 42460)


@pytest.mark.parametrize("output", ["", "unable to connect", "result {", 'result {"requests":1}', "result 7"])
def test_no_figures_are_an_error(output: str) -> None:
    with pytest.raises(BenchError):
        parse(output)


def test_the_script_sends_the_method_the_body_and_every_header() -> None:
    lines = script(TABLE["post-4k"]).splitlines()
    assert 'wrk.method = "POST"' in lines
    assert f'wrk.body = "{"p" * 4096}"' in lines
    assert 'wrk.headers["Host"] = "login.corp.example"' in lines
    assert sum(line.startswith("wrk.headers[") for line in lines) == 12


def test_a_script_without_a_body_sets_none() -> None:
    assert "wrk.body" not in script(TABLE["browser"])


def test_a_script_with_tokens_sends_another_one_each_time() -> None:
    lines = script(TABLE["tokens"]).splitlines()
    before, after = json.loads("[" + lines[0].removeprefix("local before, after = ") + "]")
    assert before.startswith("GET /64 HTTP/1.1\r\nHost: login.corp.example\r\n")
    assert after.endswith("\r\n\r\n")
    assert before.partition("Authorization: ")[2] == negotiate_parts()[0]
    assert "    return before .. string.format('%08x', number) .. after" in lines
