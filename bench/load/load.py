"""What a load generator saw in one round, and wrk as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import BenchError
from bench.heads import MARK, head, negotiate_parts
from bench.load.scenario import Scenario
from bench.load.site import Site
from bench.processes import output_of

RESULT = "result "
"""Starts the line with the figures in a load generator's output."""


@dataclass(frozen=True, slots=True)
class Load:
    """Answered requests, failures of any kind, received bytes, and latency in microseconds."""

    requests: int
    errors: int
    seconds: float
    bytes: int
    p50_us: float
    p99_us: float
    p999_us: float


def result_of(output: str) -> str:
    """What follows RESULT in the one line of `output` that starts with it. Raises BenchError when there is none."""
    line = next((line for line in output.splitlines() if line.startswith(RESULT)), None)
    if line is None:
        raise BenchError(f"the load generator gave no result:\n{output}")
    return line.removeprefix(RESULT)


def parse(output: str) -> Load:
    """The figures in a load generator's output. Raises BenchError when there are none, or broken ones."""
    found = result_of(output)
    try:
        return Load(**json.loads(found))
    except (ValueError, TypeError) as error:
        raise BenchError(f"the load generator's result cannot be read: {RESULT}{found}") from error


def wrk(site: Site, connections: int, seconds: int) -> Load:
    """Ask for the scenario's path over `connections` kept connections, each as fast as it is answered."""
    path = site.directory / "wrk.lua"
    path.write_text(script(site.scenario))
    url = f"{site.scheme}://127.0.0.1:{site.port}{site.scenario.path}"
    often = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    return parse(output_of(["wrk", *often, "-s", path, url]))


def script(scenario: Scenario) -> str:
    """wrk's script: the request, and `done`, which prints the figures as JSON.

    A string of printable ASCII is written the same in JSON and in Lua.
    """
    if scenario.tokens:
        return "\n".join((_own_tokens(scenario), _DONE))
    return "\n".join(
        (
            f"wrk.method = {json.dumps(scenario.method)}",
            *_headers(scenario.headers),
            f"wrk.body = {json.dumps(scenario.body.decode('ascii'))}" if scenario.body else "",
            _DONE,
        )
    )


def _own_tokens(scenario: Scenario) -> str:
    """Each request is whole, but for the mark in its token; another second begins with other marks."""
    before, after = negotiate_parts()
    request = head(
        {**scenario.headers, "Authorization": before + "\0" + after}, scenario.method, scenario.path
    ).decode()
    start, end = request.split("\0")
    return "\n".join(
        (
            f"local before, after = {json.dumps(start)}, {json.dumps(end)}",
            "local number = os.time() % 4096 * 1048576",
            "function request()",
            "    number = number + 1",
            f"    return before .. string.format('%0{MARK}x', number) .. after",
            "end",
        )
    )


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]


_DONE = f"""
function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '{RESULT}{{"requests":%d,"errors":%d,"seconds":%.6f,"bytes":%.0f,"p50_us":%.0f,"p99_us":%.0f,"p999_us":%.0f}}\\n',
        summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6, summary.bytes,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""
