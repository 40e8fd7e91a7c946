"""What the admin socket and `lbproxy status` show of a running balancer."""

from __future__ import annotations

import json
import re

import pytest

from .backend import Lane, answer
from .balancer import Balancer, command
from .client import request
from .conftest import Backends, Balance


async def by_target(lane: Lane) -> None:
    """Answers /404 with 404 and so on."""
    while seen := await lane.request():
        await lane.send(answer(b"x", status=f"{seen.target[1:].decode()} Whatever"))


async def metrics(balancer: Balancer) -> dict[str, float]:
    """The samples of /metrics by name and labels, as they are written (Prometheus text format 0.0.4)."""
    response = await balancer.admin("/metrics")
    assert response.status == 200
    assert (response.get("content-type") or b"").startswith(b"text/plain")
    lines = [line for line in response.body.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_status_counts(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(by_target, by_target))
    async with await balancer.connect() as client:
        for status in (200, 200, 302, 404, 500, 200):
            assert (await client.ask(f"/{status}")).status == status
        snapshot = await balancer.status()
        [listener] = snapshot["listeners"]
        assert (listener["name"], listener["mode"], listener["tls"], listener["pool"]) == (
            "login",
            "http",
            False,
            "connectors",
        )
        assert (listener["connections"], listener["accepted"], listener["requests"]) == (1, 1, 6)
    assert (snapshot["pid"], snapshot["state"]) == (balancer.master, "serving")
    assert snapshot["generation"] == {"number": 1, "pid": balancer.pid}
    assert snapshot["configuration"]["file"] == str(balancer.path)
    assert snapshot["server_url"] == balancer.config["server_url"]
    members = snapshot["pools"][0]["backends"]
    assert [(one["name"], one["state"], one["in_rotation"], one["requests"]) for one in members] == [
        ("c1", "up", True, 3),
        ("c2", "up", True, 3),
    ]
    classes = {name: sum(one["responses"][name] for one in members) for name in ("1xx", "2xx", "3xx", "4xx", "5xx")}
    assert classes == {"1xx": 0, "2xx": 3, "3xx": 1, "4xx": 1, "5xx": 1}
    assert [(one["active"], one["idle_lanes"], one["private_lanes"], one["lanes_opened"]) for one in members] == [
        (0, 1, 0, 1)
    ] * 2
    assert snapshot["ends"]["done"] == 6
    assert snapshot["request_seconds"]["count"] == 6


async def test_status_shows_what_is_going_on(backends: Backends, balance: Balance) -> None:
    async def never(lane: Lane) -> None:
        await lane.request()
        await lane.until_closed()

    [backend] = await backends(never)
    balancer = await balance(backend)
    async with await balancer.connect() as client:
        await client.send(request())
        await backend.until(lambda: backend.requests)
        status = await balancer.backends()
        assert (status["c1"]["active"], status["c1"]["idle_lanes"]) == (1, 0)


async def test_refusals_are_counted(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(by_target))
    assert (await balancer.ask("/test-headers")).status == 404
    async with await balancer.connect() as client:
        await client.send(b"\0\0\0\0\r\n\r\n")
        assert (await client.response()).status == 400
    snapshot = await balancer.status()
    assert (snapshot["ends"]["denied_path"], snapshot["ends"]["not_http"]) == (1, 1)


async def test_metrics_agree_with_the_status(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(by_target, by_target))
    async with await balancer.connect() as client:
        for status in (200, 200, 404, 200):
            await client.ask(f"/{status}")
        samples = await metrics(balancer)
    labels = re.compile(r"\{.*\}")
    assert {labels.sub("", name) for name in samples} >= {"lbproxy_requests_total", "process_resident_memory_bytes"}
    assert samples['lbproxy_requests_total{listener="login"}'] == 4
    assert samples['lbproxy_connections{listener="login"}'] == 1
    assert samples['lbproxy_ends_total{reason="done"}'] == 4
    for name, value in (("requests_total", 2), ("up", 1), ("in_rotation", 1), ("active_requests", 0)):
        assert samples[f'lbproxy_backend_{name}{{backend="c1",pool="connectors"}}'] == value, name
    assert samples["lbproxy_request_duration_seconds_count"] == 4


async def test_health_of_the_balancer_itself(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    assert (await balancer.admin("/healthz")).status == 200
    assert (await balancer.admin("/readyz")).status == 200
    assert (await balancer.admin("/other")).status == 404


async def test_the_admin_socket_is_the_owners(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    assert (balancer.path.parent / "admin.sock").stat().st_mode & 0o777 == 0o600


async def test_the_status_command(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    assert (await balancer.ask()).status == 200
    code, out, err = await command("status", "--json", "-c", str(balancer.path))
    assert (code, err) == (0, "")
    snapshot = json.loads(out)
    assert (snapshot["pid"], snapshot["pools"][0]["backends"][0]["requests"]) == (balancer.master, 1)
    code, out, err = await command("status", "-c", str(balancer.path))
    assert (code, err) == (0, "")
    assert "c1" in out
    await balancer.stop()
    code, out, err = await command("status", "--json", "-c", str(balancer.path))
    assert code == 1
    assert "Traceback" not in out + err


async def test_commands_work_while_the_file_is_broken(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(by_target, by_target))
    sound = balancer.path.read_text()
    balancer.path.write_text(f"{sound}\n[pool.other\nno closing bracket")
    where = ("-c", str(balancer.path))
    assert (await command("status", *where))[0] == 0
    assert (await command("drain", *where, "c1"))[:2] == (0, "connectors/c1 is drained; nothing to finish\n")
    assert (await command("ready", *where, "c1"))[:2] == (0, "connectors/c1 is in rotation\n")
    code, _, err = await command("reload", *where)
    assert (code, "not reloaded" in err, "Expected ']'" in err) == (1, True, True)
    balancer.path.write_text(sound)
    assert await command("reload", *where) == (0, "reloaded\n", "")


async def test_a_failed_reload_is_seen(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    first = (await balancer.status())["configuration"]
    assert (first["file"], first["last_reload"]) == (str(balancer.path), None)
    success, when = "lbproxy_config_last_reload_successful", "lbproxy_config_last_reload_success_timestamp_seconds"
    samples = await metrics(balancer)
    assert samples[success] == 1
    assert samples[when] == pytest.approx(first["loaded"])

    sound = balancer.path.read_text()
    balancer.path.write_text(f"workerz = 2\n{sound}")
    assert (await command("reload", "-c", str(balancer.path)))[0] == 1
    bad = (await balancer.status())["configuration"]
    assert (bad["loaded"], bad["last_reload"]["ok"]) == (first["loaded"], False)
    [problem] = bad["last_reload"]["problems"]
    assert problem.startswith(f"{balancer.path}:1: workerz: ")
    samples = await metrics(balancer)
    assert samples[success] == 0
    assert samples[when] == pytest.approx(first["loaded"])
    assert problem in (await command("status", "-c", str(balancer.path)))[1]

    balancer.path.write_text(sound)
    assert (await command("reload", "-c", str(balancer.path)))[0] == 0
    good = (await balancer.status())["configuration"]
    assert (good["last_reload"]["ok"], good["last_reload"]["problems"]) == (True, [])
    assert first["loaded"] < good["loaded"] <= good["last_reload"]["ended"]
    samples = await metrics(balancer)
    assert samples[success] == 1
    assert samples[when] == pytest.approx(good["loaded"])
