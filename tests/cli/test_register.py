"""`lbproxy register` as a process, against a real etcd."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.registry import Connector
from lbproxy.control.etcd import Access, Etcd, Mirror
from tests.instance.connector import Connector as Installed


def command(config: Path, url: str, *options: str) -> list[str]:
    return ["register", "-c", str(config), "--pool", "p", "--name", "c1", "--url", url, *options]


async def _urls(mirror: Mirror) -> list[str]:
    return [Connector.decode(one.value).url for one in (await mirror.next()).values.values()]


async def test_from_its_start_to_its_end(tmp_path: Path, etcd_url: str) -> None:
    """With a file that has nothing but [fleet]; a second one of its name is refused, and told who has it."""
    fleet, config = uuid4().hex, tmp_path / "fleet.toml"
    config.write_text(f'[fleet]\nname = "{fleet}"\netcd = ["{etcd_url}"]\nlease = "2s"\n')
    etcd = Etcd(Access((etcd_url,)))
    with socket.create_server(("127.0.0.1", 0)) as connector:
        url = f"http://127.0.0.1:{connector.getsockname()[1]}"
        program = [sys.executable, "-m", "lbproxy", *command(config, url, "--fact", "version=1.8.0")]
        async with etcd.mirror(registry.connectors(fleet, "p")) as mirror:
            assert await _urls(mirror) == []
            first = await asyncio.create_subprocess_exec(*program, stderr=subprocess.PIPE)
            assert await _urls(mirror) == [url]
            second = await asyncio.create_subprocess_exec(*program, stderr=subprocess.PIPE)
            _, refusal = await second.communicate()
            first.send_signal(signal.SIGTERM)
            _, log = await first.communicate()
            assert await _urls(mirror) == [url], "it leaves"
            assert await _urls(mirror) == []
    await etcd.close()
    assert first.returncode == 0
    assert f"connector_registered connector=p/c1 url={url}" in log.decode()
    assert b"connector_drained connector=p/c1" in log
    assert second.returncode == 1
    whose = f"pid {first.pid} on {socket.gethostname()}, for {url}"
    assert refusal.decode().splitlines()[-1] == f"lbproxy: error: p/c1 is registered by {whose}"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--fact", "version"], "'version' is not NAME=VALUE"),
        (["--check", "4000"], "'4000' is not a URL that begins with http:// or https://"),
        (["--drain-timeout", "30"], "'30' is not a duration"),
        (["--name", "a/b"], "'a/b' is not a name"),
        (["--url", "c1:4000"], "Invalid value for '--url'"),
    ],
)
def test_what_cannot_be(options: list[str], problem: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, command(tmp_path / "fleet.toml", "http://c1:4000", *options))
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.split())


def test_a_file_without_a_fleet(tmp_path: Path) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text("")
    result = CliRunner().invoke(main, command(config, "http://c1:4000"))
    assert (result.exit_code, result.stderr) == (1, f"lbproxy: error: {config}: fleet: missing\n")


def test_an_instance_that_cannot_be_read(tmp_path: Path) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text('[fleet]\nname = "f"\netcd = ["http://127.0.0.1:1"]\n')
    options = ["--instance", "auth0", "--dir", str(tmp_path)]
    result = CliRunner().invoke(main, command(config, "http://c1:4000", *options))
    assert result.exit_code == 1
    assert result.stderr == f"lbproxy: error: {tmp_path / 'package.json'}: No such file or directory\n"


async def test_the_facts_of_an_instance_are_sent(tmp_path: Path, etcd_url: str) -> None:
    """What is given by --fact goes before what was read."""
    fleet, config = uuid4().hex, tmp_path / "fleet.toml"
    config.write_text(f'[fleet]\nname = "{fleet}"\netcd = ["{etcd_url}"]\nlease = "2s"\n')
    instance = Installed.make(tmp_path / "c")
    etcd = Etcd(Access((etcd_url,)))
    with socket.create_server(("127.0.0.1", 0)) as connector:
        url = f"http://127.0.0.1:{connector.getsockname()[1]}"
        options = ("--instance", "auth0", "--dir", str(instance.directory), "--fact", "version=mine")
        program = [sys.executable, "-m", "lbproxy", *command(config, url, *options)]
        async with etcd.mirror(registry.connectors(fleet, "p")) as mirror:
            assert await _urls(mirror) == []
            process = await asyncio.create_subprocess_exec(*program, stderr=subprocess.DEVNULL)
            (value,) = (await mirror.next()).values.values()
            process.send_signal(signal.SIGTERM)
            await process.wait()
    await etcd.close()
    facts = Connector.decode(value.value).facts
    assert (facts["version"], facts["server_url"]) == ("mine", "https://login.corp.example")
    assert facts["session_secret"].startswith("hmac:")
