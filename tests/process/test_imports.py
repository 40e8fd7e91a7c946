from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from lbproxy.process.imports import COLLECT_AFTER, quick_imports


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
