from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from lbproxy.cli import main
from lbproxy.cli.status import keep_showing, page
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.snapshot import RefusedView, ReloadView, Snapshot
from lbproxy.errors import AdminError
from tests.cli.served import CONFIG
from tests.control.sample import discovered_pool, expiry, guarded_pool, kerberos_pool, snapshot


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder with lbproxy.toml, and the admin interface that it names, serving."""
    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    server = AdminServer(listen(tmp_path / "admin.sock"), read_routes(snapshot))
    await server.start()
    yield tmp_path
    await server.stop()


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["status", *arguments])


def words(text: str) -> list[list[str]]:
    """The cells of each line of the tables in `text`."""
    return [re.split(" {2,}", line.rstrip()) for line in text.splitlines()]


def shown(view: Snapshot) -> str:
    """The page as a wide terminal without colours shows it."""
    console = Console(file=io.StringIO(), width=250)
    console.print(page(view))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_asks_where_the_configuration_says(folder: Path) -> None:
    result = await run("-c", str(folder / "lbproxy.toml"))
    assert result.exit_code == 0, result.output
    assert "https://login.corp.example: serving, lbproxy 0.1.0, pid 4711, up 2h 5m" in result.output
    assert "pool connectors" in result.output


async def test_asks_where_it_is_told_without_a_configuration(folder: Path) -> None:
    result = await run("-c", "/nonexistent", "--admin", f"unix:{folder}/admin.sock", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(json.dumps(snapshot()))


async def test_asks_over_tcp() -> None:
    sock = listen(("127.0.0.1", 0))
    server = AdminServer(sock, read_routes(snapshot))
    port = sock.getsockname()[1]
    await server.start()
    result = await run("--admin", f"127.0.0.1:{port}", "--json")
    await server.stop()
    assert json.loads(result.stdout)["pid"] == 4711


async def test_a_balancer_that_is_not_running(tmp_path: Path) -> None:
    result = await run("--admin", f"unix:{tmp_path}/admin.sock")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"lbproxy: error: lbproxy is not running: nobody listens on {tmp_path}/admin.sock\n"


@pytest.mark.parametrize("arguments", [("--admin", "nonsense"), ("--json", "--watch")])
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert (await run(*arguments)).exit_code == 2


def test_listeners() -> None:
    assert ["login", "0.0.0.0:443", "http", "yes", "connectors", "12", "345", "678", "9"] in words(shown(snapshot()))


def test_backends() -> None:
    rows = words(shown(snapshot()))
    url = "http://10.0.0.1:4000/"
    numbers = ["1", "2", "7+8"]
    assert ["c1", f"{url}c1", "401, 3 ms", "up", "3m 20s", "50.0%", "10", *numbers] in rows
    assert ["c2", f"{url}c2", "connection refused, 1 ms", "down", "12s", "50.0%", "10", *numbers] in rows
    assert ["c3", f"{url}c3", "-", "new", "3m 20s", "0.0%", "0", *numbers] in rows


def test_why_a_backend_is_down() -> None:
    complaints = [line for line in shown(snapshot()).splitlines() if line.startswith("  c")]
    assert complaints == ["  c2: the backend refused the connection: connection refused"]


def test_what_went_wrong_at_a_listener() -> None:
    view = snapshot()
    assert "  login: 11 tls_failed, 4 client_cert_refused, 2 client_gone" in shown(view).splitlines()
    view["listeners"][0]["ends"] = {"done": 600, "idle_timeout": 3}
    assert not [line for line in shown(view).splitlines() if line.startswith("  login")]


def test_files_that_cannot_be_used() -> None:
    refused: RefusedView = {"why": "login.key is not there", "since": 0.0}
    view = snapshot() | {"tls_files": [{"where": "listener.login.tls", "refused": refused}]}
    text = shown(view)
    assert re.search("listener.login.tls, for .*: login.key is not there; what was read before is in use", text)
    assert "cannot be used" not in shown(snapshot())


def test_a_reload_that_failed() -> None:
    problems = ["lb.toml: x: missing", "lb.toml: y: missing"]
    reload: ReloadView = {"ended": 1795246810.25, "ok": False, "problems": problems}
    view = snapshot() | {"configuration": snapshot()["configuration"] | {"last_reload": reload}}
    text = shown(view)
    assert "/etc/lbproxy/lbproxy.toml, read at 2026-11-21T07:40:00.500Z" in text
    assert "the last reload, at 2026-11-21T07:40:10.250Z, failed; what was read before is served:" in text
    assert ("  lb.toml: x: missing" in text, "  lb.toml: y: missing" in text) == (True, True)
    assert "failed; what" not in shown(snapshot())


def test_whether_openssl_is_called_directly() -> None:
    version = "OpenSSL 3.0.20 1 Jan 2026"
    assert f"{version}, called directly" in shown(snapshot())
    view = snapshot() | {"openssl": {"version": version, "direct": False}}
    assert f"{version}, called by the ssl of Python" in shown(view)


def test_what_expires() -> None:
    view = snapshot()
    rows = words(shown(view))
    assert ["listener.login.tls", "certificate", "CN=login", "2027-02-19", "90"] in rows
    assert ["listener.login.tls", "crl", "CN=Users CA", "2027-02-19", "6"] in rows
    view["expiries"] = []
    assert "certificates" not in shown(view)


@pytest.mark.parametrize(
    ("days", "shows"), [(-0.5, "\x1b\\[31m +-1\x1b"), (13.9, "\x1b\\[33m +13\x1b"), (14.1, " 14 ")]
)
def test_what_ends_soon_has_its_colour(days: float, shows: str) -> None:
    view = snapshot()
    view["expiries"] = [expiry("certificate", "CN=login", days)]
    console = Console(file=io.StringIO(), width=250, force_terminal=True, color_system="standard", no_color=False)
    console.print(page(view))
    assert isinstance(console.file, io.StringIO)
    assert re.search(rf"2027-02-19 +{shows}", console.file.getvalue())


def test_a_kerberos_check() -> None:
    view = snapshot()
    view["pools"] = [kerberos_pool("windows")]
    rows = [row[:4] for row in words(shown(view))]
    assert ["k1", "http://10.0.0.1:4000/k1", "401, binds: no, 3 ms", "up"] in rows
    assert ["k2", "http://10.0.0.1:4000/k2", "it refuses a fresh ticket (401), binds: yes, 2 ms", "down"] in rows
    complaint = "  kerberos, for 1m 3s: no KDC of the realm answers (no answer within 0.5 s)"
    assert complaint in shown(view).splitlines()


def test_what_kept_a_good_probe_from_signing_in_is_a_warning() -> None:
    view = snapshot()
    probe = view["pools"][0]["backends"][0]["probe"]
    assert probe is not None
    probe["reason"] = "kdc_unreachable"
    console = Console(file=io.StringIO(), width=250, force_terminal=True, color_system="standard", no_color=False)
    console.print(page(view))
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[33m401, 3 ms" in console.file.getvalue()


def test_a_draining_backend_and_a_pool_without_requests() -> None:
    view = snapshot()
    [pool] = view["pools"]
    pool["backends"] = pool["backends"][:1]
    pool["backends"][0].update({"draining": True, "requests": 0})
    [row] = [row for row in words(shown(view)) if row[0] == "c1"]
    assert (row[3], row[5]) == ("up, draining", "-")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"ramp": 0.35}, "up, slow start 35%"),
        ({"state": "down", "held_seconds": 63.0}, "down, held 1m 3s"),
        ({"inconsistent": "version is 1.7.9"}, "up, inconsistent"),
        ({"draining": True, "ramp": 0.5}, "up, draining, slow start 50%"),
    ],
)
def test_what_else_keeps_a_backend_from_its_share(changes: Any, state: str) -> None:
    view = snapshot()
    view["pools"][0]["backends"][0].update(changes)
    text = shown(view)
    assert [row[3] for row in words(text) if row[0] == "c1"] == [state]


def test_what_differs_and_what_is_not_known() -> None:
    view = snapshot()
    pool = guarded_pool("alike")
    view["pools"] = [pool]
    differs = "unlike the others: version is 1.7.9, most have 1.8.0"
    lines = [line.rstrip() for line in shown(view).splitlines()]
    assert f"  g3: kept out, {differs}" in lines
    assert "  g2: address is not known: no answer within 1 s" in lines
    assert not [line for line in lines if "update" in line]
    assert pool["consistency"] is not None
    pool["consistency"]["updating"] = True
    pool["backends"][2]["inconsistent"] = ""
    lines = [line.rstrip() for line in shown(view).splitlines()]
    assert f"  g3: {differs}" in lines
    assert [line for line in lines if line.startswith("  an update is under way")]


def test_a_narrow_terminal_keeps_the_numbers() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(page(snapshot()))
    assert isinstance(console.file, io.StringIO)
    assert re.search(r"down +12s +50\.0% +10 +1 +2 +7\+8", console.file.getvalue())


def test_states_have_their_colours() -> None:
    console = Console(file=io.StringIO(), width=250, force_terminal=True, color_system="standard", no_color=False)
    console.print(page(snapshot()))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for colour, state in (("32", "up"), ("31", "down"), ("33", "new")):
        assert re.search(rf"\x1b\[{colour}m *{state}", text)


def test_what_a_backend_says_is_no_markup_and_cannot_steer_the_terminal() -> None:
    view = snapshot()
    view["pools"][0]["backends"][1].update({"detail": "[red]x[/nothing] \x1b[2J\x9b\n\u202e"})
    text = shown(view)
    assert "[red]x[/nothing] \\x1b[2J\\x9b\\n\\u202e" in text
    assert not set(text) & set("\x1b\x9b\u202e")


async def test_watch_looks_again_until_the_balancer_is_gone(tmp_path: Path) -> None:
    looks: Iterator[int] = iter(range(1, 4))
    path = tmp_path / "admin.sock"

    def view() -> Snapshot:
        changed = snapshot()
        changed["pid"] = next(looks)  # the fourth look fails: to the client the balancer is broken
        return changed

    server = AdminServer(listen(path), read_routes(view))
    await server.start()
    console = Console(file=io.StringIO(), width=250, force_terminal=True)
    with pytest.raises(AdminError):
        await asyncio.to_thread(keep_showing, path, console, every=0)
    await server.stop()
    assert isinstance(console.file, io.StringIO)
    assert re.findall(r"pid (\d)", console.file.getvalue()) == ["1", "2", "3"]


async def test_watch_ends_well_when_interrupted(tmp_path: Path) -> None:
    looked = asyncio.Event()

    def view() -> Snapshot:
        looked.set()
        return snapshot()

    path = tmp_path / "admin.sock"
    server = AdminServer(listen(path), read_routes(view))
    await server.start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from lbproxy.cli import main; main()"),
        *("status", "--watch", "--admin", f"unix:{path}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await looked.wait()
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    await server.stop()
    assert (process.returncode, errors) == (0, b"")


def test_what_operators_said_and_what_is_refused_has_a_line() -> None:
    view = snapshot()
    at = datetime(2026, 11, 21, 12, 3).timestamp()
    view["pools"][0]["refused"] = {"dns": ["c9: weight is 101, it must be 0 to 100"]}
    view["pools"][0]["backends"][0] |= {"source": "operator", "added": {"by": "olga", "at": at}}
    view["pools"][0]["waiting_orders"] = [
        {"name": "c8", "draining": False, "weight": 3, "standby": None, "ordered": {"weight": {"by": "olga", "at": at}}}
    ]
    view["pools"][0]["departed"] = {"c7": 2}
    lines = ("  c1", "  c7", "  refused", "  no")
    complaints = [line for line in shown(view).splitlines() if line.startswith(lines)]
    assert complaints == [
        "  refused, from dns: c9: weight is 101, it must be 0 to 100",
        "  c7 has left, and has 2 requests to finish",
        "  no backend is called c8; ordered for it: weight 3 since 2026-11-21 12:03 by olga",
        "  c1: added at 2026-11-21 12:03 by olga",
    ]


def test_sources_of_backends_have_a_line_each() -> None:
    view = snapshot()
    view["pools"] = [discovered_pool("found")]
    text = shown(view)
    assert "  discovery dns (A, AAAA connectors.test. port 4000): 2 backends, answered 3s ago" in text
    assert "  discovery file-list (/etc/lbproxy/backends.json): 1 backends, failing for 1m 3s" in text


def test_how_the_answers_of_a_backend_were() -> None:
    lately = [" c1", "10%", "12 ms", "100 ms", "800 ms", "12 ms", "800 ms", "6-2", "4-5", "9.0k", "70k"]
    assert lately in words(shown(snapshot()))


async def test_one_pool_alone(folder: Path) -> None:
    where = ("-c", str(folder / "lbproxy.toml"))
    assert (await run(*where, "--pool", "connectors", "--wide")).output.count("\npool connectors (") == 1
    assert [
        one["name"] for one in json.loads((await run(*where, "--pool", "connectors", "--json")).stdout)["pools"]
    ] == ["connectors"]
    result = await run(*where, "--pool", "other")
    assert (result.exit_code, result.stderr) == (1, "lbproxy: error: there is no pool other; there is connectors\n")


async def test_it_is_compact_unless_it_shall_be_wide(folder: Path) -> None:
    where = ("-c", str(folder / "lbproxy.toml"))
    compact, wide = (await run(*where)).output, (await run(*where, "--wide")).output
    assert "pool connectors: 1 of 3 in rotation" in compact
    assert "http://10.0.0.1:4000/c1" not in compact
    assert "http://10.0.0.1:4000/c1" in wide
