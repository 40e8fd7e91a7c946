from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.control.admin.client import fetch_status
from lbproxy.process.imports import COLLECT_AFTER, quick_imports
from tests.ports import free_port


@pytest.mark.parametrize("before", [None, "/etc/corp/authorities.pem"])
def test_nothing_is_collected_within_it_and_no_authority_is_read(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if before is not None:
        monkeypatch.setenv("SSL_CERT_FILE", before)
    with quick_imports():
        assert not gc.isenabled()
        assert os.environ["SSL_CERT_FILE"] == os.devnull
    assert gc.isenabled()
    assert gc.get_threshold()[0] == COLLECT_AFTER
    assert os.environ.get("SSL_CERT_FILE") == before


def test_an_import_that_fails_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(ImportError), quick_imports():
        raise ImportError
    assert gc.isenabled()
    assert "SSL_CERT_FILE" not in os.environ


def test_no_package_is_asked_for_plugins_of_pydantic() -> None:
    code = (
        "from importlib import metadata\n"
        "from lbproxy.process.imports import quick_imports\n"
        "metadata.entry_points = lambda **_: print('asked') or []\n"
        "with quick_imports():\n"
        " from lbproxy.config.models.config import Config\n"
        "print(Config.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Config\n"


def test_packages_metadata_is_loaded_by_what_uses_it() -> None:
    """And is the true module for all that imports it: while others are imported, and later."""
    code = (
        "import sys\n"
        "from lbproxy.process.imports import quick_imports\n"
        "with quick_imports():\n"
        " from importlib.metadata import entry_points\n"
        " import importlib.metadata as within\n"
        " print('email' in sys.modules)\n"
        " print(type(entry_points(group='console_scripts')).__name__, 'email' in sys.modules)\n"
        " from importlib.metadata import version\n"
        "import importlib.metadata as later\n"
        "print(version('pydantic') == later.version('pydantic') == within.version('pydantic'))\n"
        "print(later.__file__ is None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "EntryPoints", "True", "True", "False"]


def test_packages_metadata_that_nothing_uses_is_left_to_who_asks_later() -> None:
    code = (
        "from lbproxy.process.imports import quick_imports\n"
        "with quick_imports():\n"
        " import importlib.metadata\n"
        "import importlib.metadata\n"
        "print(importlib.metadata.version('pydantic') is not None, hasattr(importlib.metadata, '__path__'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_contexts_that_are_made_later_know_the_system_s_authorities() -> None:
    """And what was imported is not looked through again."""
    code = (
        "import gc, ssl\n"
        "from lbproxy.process.imports import quick_imports\n"
        "with quick_imports():\n"
        " from aiohttp import connector\n"
        "print(gc.get_freeze_count() > 10_000)\n"
        "print(connector._SSL_CONTEXT_VERIFIED.cert_store_stats()['x509_ca'])\n"
        "print(ssl.create_default_context().cert_store_stats()['x509_ca'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frozen, aiohttps, later = done.stdout.split()
    assert (frozen, aiohttps) == ("True", "0")
    assert int(later) > 0


PLAIN = """
server_url = "http://127.0.0.1:{port}"
workers = {workers}
[listener.login]
bind = "127.0.0.1:{port}"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:{other}" }}]
check = {{ kind = "{kind}", interval = "1h" }}
[admin]
bind = "unix:admin.sock"
"""

DEAR = {
    "aiohttp", "attr", "click", "cryptography", "difflib", "dns", "email", "gssapi", "importlib.metadata", "jinja2",
    "kubernetes_asyncio", "multidict", "opentelemetry", "prometheus_client", "rich", "yarl", "zipfile",
    "lbproxy.control.consistency.guard", "lbproxy.control.etcd", "lbproxy.control.fleet.fleet",
    "lbproxy.control.kubernetes", "lbproxy.control.probes.kerberos.probe", "lbproxy.dashboard",
}  # fmt: skip
"""What takes a start long or much memory, and serves only some configurations."""


@pytest.mark.parametrize(("workers", "kind"), [(1, "none"), (1, "http"), (2, "tcp")])
def test_a_plain_balancer_loads_nothing_dear(tmp_path: Path, workers: int, kind: str) -> None:
    """Master, generation and workers, which write down what they import, from the start to the first answers."""
    (tmp_path / "lbproxy.toml").write_text(
        PLAIN.format(port=free_port(), other=free_port(), workers=workers, kind=kind)
    )
    command = [sys.executable, "-m", "lbproxy.process", "master", str(tmp_path / "lbproxy.toml")]
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as master:
        assert master.stderr is not None
        said = []
        for line in master.stderr:
            said.append(line)
            if line.startswith("ready: "):
                assert fetch_status(tmp_path / "admin.sock")["state"] == "serving"
                master.terminate()
    imported = {line.rpartition("|")[2].strip() for line in said if line.startswith("import time:")}
    assert {"lbproxy.process.master.main", "lbproxy.process.generation.generation", "uvloop"} <= imported
    assert sorted(imported & DEAR) == []
    assert master.returncode == 0
