"""`lbproxy instance facts`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import urllib.request
from pathlib import Path

from tests.instance.connector import Connector
from tests.instance.killer import ROOT

from .conftest import Run


def test_prints_them(run: Run, first: Connector) -> None:
    found = json.loads(run("facts", "--dir", first.directory).stdout)
    assert (found["kind"], found["facts"]["version"]) == ("auth0", "6.1.2")


async def test_serves_them_until_it_is_told_to_end(first: Connector) -> None:
    words = [sys.executable, "-m", "lbproxy", "instance", "facts", "--dir", str(first.directory)]
    process = await asyncio.create_subprocess_exec(
        *words, "--listen", "127.0.0.1:0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = line.split()[-1]
    assert line == f"facts of {first.directory} at {url}\n"

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=30) as response:
            return str(json.load(response)["facts"]["server_url"])

    assert await asyncio.to_thread(fetch) == "https://login.corp.example"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def test_other_hosts_need_a_certificate(run: Run, first: Connector, tmp_path: Path) -> None:
    done = run("facts", "--dir", first.directory, "--listen", "0.0.0.0:9310")
    assert (done.exit_code, "is no loopback address: give --certificate" in done.stderr) == (2, True)
    done = run("facts", "--dir", first.directory, "--listen", "0.0.0.0:9310", "--key", tmp_path)
    assert (done.exit_code, "belong together" in done.stderr) == (2, True)
    for address, problem in (("9310", "is not host:port"), ("unix:/x", "is not host:port or [v6]:port")):
        done = run("facts", "--dir", first.directory, "--listen", address)
        assert (done.exit_code, problem in " ".join(done.stderr.split())) == (2, True)


def test_one_that_cannot_be_read_is_told_at_once(run: Run, first: Connector) -> None:
    (first.directory / "config.json").write_text("{")
    done = run("facts", "--dir", first.directory, "--listen", "127.0.0.1:0")
    assert (done.exit_code, done.stderr) == (1, "lbproxy: error: config.json, line 1: is not JSON\n")
