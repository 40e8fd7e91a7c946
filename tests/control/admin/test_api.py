"""What is served, what docs/openapi.yaml says, and what docs/admin-api.md says are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.control.admin.api import api_routes
from lbproxy.control.admin.members import Added, Changed
from lbproxy.control.admin.recent import HistoryView
from lbproxy.control.live_connections import ConnectionsView, ConnectionView
from lbproxy.control.log.level import LogLevel
from lbproxy.control.log.recent import EventsView
from lbproxy.control.rollout.local import LocalRollouts
from lbproxy.control.snapshot import BackendView, LeaveView, LogView, PoolView, Snapshot
from tests.control.admin.pool import BareBackends
from tests.control.admin.serving import serving
from tests.control.admin.test_connections import NoConnections
from tests.control.admin.test_leave import Stays
from tests.control.admin.test_recent import NothingRecent
from tests.control.sample import snapshot

DOCS = Path(__file__).parents[3] / "docs"
OPENAPI: dict[str, Any] = yaml.load((DOCS / "openapi.yaml").read_text(), yaml.CSafeLoader)
SCHEMAS = OPENAPI["components"]["schemas"]


LEVEL = LogLevel(lambda _: None)


async def reload() -> list[str]:
    return []


def served() -> set[tuple[str, str]]:
    rest = (Stays(), NoConnections(), NothingRecent(), LEVEL, LocalRollouts(()))
    routes = api_routes(snapshot, BareBackends(), reload, *rest)
    return {(route.method, route.path) for route in routes}


async def test_only_the_status_needs_what_is_recent() -> None:
    """Programs ask for the rest every second, and it takes time."""
    asked: list[str] = []

    def whole() -> Snapshot:
        asked.append("whole")
        return snapshot()

    def bare() -> Snapshot:
        asked.append("bare")
        return snapshot()

    rest = (BareBackends(), reload, Stays(), NoConnections(), NothingRecent(), LEVEL, LocalRollouts(()))
    async with serving(api_routes(whole, *rest, bare=bare)) as client:
        for method, path in (("GET", "/status"), ("GET", "/metrics"), ("GET", "/readyz"), ("POST", "/health")):
            assert (await client.request(method, path)).status == 200
    assert asked == ["whole", "bare", "bare", "bare"]


def test_the_openapi_file_has_every_route() -> None:
    verbs = {"get", "put", "post", "patch", "delete"}
    described = {(verb.upper(), path) for path, item in OPENAPI["paths"].items() for verb in verbs & item.keys()}
    assert described == served()


def test_the_page_has_every_route() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/[^`]*)` \|", (DOCS / "admin-api.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(served())


def test_each_parameter_of_a_path_is_described() -> None:
    parameters = OPENAPI["components"]["parameters"]
    for path, item in OPENAPI["paths"].items():
        named = [parameters[one["$ref"].rpartition("/")[2]] for one in item.get("parameters", [])]
        assert {one["name"] for one in named if one["in"] == "path"} == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(
    ("schema", "view"),
    [
        ("Backend", BackendView),
        ("Pool", PoolView),
        ("Snapshot", Snapshot),
        ("Leave", LeaveView),
        ("LogLevel", LogView),
        ("Connection", ConnectionView),
        ("Connections", ConnectionsView),
        ("Events", EventsView),
        ("History", HistoryView),
    ],
)
def test_what_is_described_is_there(schema: str, view: type) -> None:
    assert SCHEMAS[schema]["properties"].keys() <= view.__annotations__.keys()


def test_every_key_of_a_backend_is_described() -> None:
    assert SCHEMAS["Backend"]["properties"].keys() == BackendView.__annotations__.keys()
    assert set(SCHEMAS["Backend"]["required"]) == BackendView.__annotations__.keys()


@pytest.mark.parametrize(("schema", "body"), [("Added", Added), ("Changed", Changed)])
def test_bodies_have_the_keys_that_are_described(schema: str, body: type[Added | Changed]) -> None:
    assert SCHEMAS[schema]["properties"].keys() == body.model_fields.keys()
    required = {name for name, one in body.model_fields.items() if one.is_required()}
    assert set(SCHEMAS[schema].get("required", [])) == required
