"""The whole suite runs in several processes, a part of it in one; properties are tried for as long as they take."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.order import dealt

if TYPE_CHECKING:
    from tests.active_directory import Domain

_HERE = Path(__file__).parent

PER_CPU = 2
"""Most tests wait for others, and for time. With three a CPU, none is ever idle, and each test gets less of it."""

LONG = (
    "cli/test_demo.py",
    "cli/test_register.py",
    "control/discovery",
    "control/etcd",
    "control/fleet",
    "control/probes/kerberos/test_probe.py",
)
"""Files and folders whose tests wait for timeouts of others: not at the end, when nothing else is left to do."""

# A process that may not keep what it compiles compiles all of lbproxy at its start: the tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell that starts a command in the background has it ignore SIGINT, and so do all that it starts. Tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else runs on the machine than about what is tested.
settings.register_profile(
    "lbproxy",
    max_examples=1000 if os.environ.get("LBPROXY_FULL") else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("lbproxy")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which who runs one test needs not
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `--numprocesses auto` of `make test` means; 0 is this process alone.

    Each process collects the whole suite before it runs its first test: a part of it is done by then.
    """
    part = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    chosen = any(config.getoption(name) for name in ("keyword", "markexpr", "lf", "usepdb"))
    return 0 if part or chosen else PER_CPU * len(os.sched_getaffinity(0))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In one of several processes, the tests that start balancers, and others of `LONG`, come first."""
    parts = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if parts > 1:
        items[:] = dealt(items, parts, lambda item: _long(item.path))


@cache
def _long(file: Path) -> str | None:
    """The file or folder of e2e that a file of tests is in, where tests share fixtures, or what is in `LONG`."""
    path = file.relative_to(_HERE)
    if path.parts[0] == "e2e":
        return path.parts[1]
    return next((name for name in LONG if path.is_relative_to(name)), None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Thousands of tests stay until the end: the garbage collector need not look through them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _fork_servers() -> Iterator[None]:
    """They are ended where tests have started some."""
    yield
    if starting := sys.modules.get("tests.e2e.starting"):
        for server in starting.FORK_SERVERS:
            server.close()


@pytest.fixture(scope="session")
def etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real etcd that the tests of a process share: each keeps to keys, or a fleet, of its own."""
    from tests.etcd_server import node

    with node(tmp_path_factory.mktemp("etcd")) as one:
        yield one.url


@pytest.fixture(scope="session")
def active_directory() -> Iterator[Domain]:
    """A real Active Directory that the tests of a process share: each makes accounts of its own (`needs_domain`)."""
    from tests.active_directory import domain

    with domain() as corp:
        yield corp
