"""The manual as a site."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from lbproxy.cli import COMMANDS
from lbproxy.config.reference import entries
from tools.site import ROOT, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_source(folder)
    return folder


def test_every_page_is_there_and_in_the_contents(source: Path) -> None:
    pages = {str(path.relative_to(ROOT / "docs")).removesuffix(".md") for path in (ROOT / "docs").rglob("*.md")}
    pages = (pages - {"README"}) | {"commands", "keys"}
    contents = (source / "index.md").read_text().split("```{toctree}")[1].split()
    assert pages <= set(contents)
    assert len(contents) == len(set(contents))
    assert all((source / f"{page}.md").exists() for page in pages)


def test_no_link_leaves_the_manual_for_a_file(source: Path) -> None:
    for page in source.rglob("*.md"):
        for link in re.findall(r"\]\(([^()\s#:]+)\)", page.read_text()):
            assert (page.parent / link).resolve().is_relative_to(source), (page.name, link)
            assert (page.parent / link).exists(), (page.name, link)


def test_the_index_has_every_command_and_key(source: Path) -> None:
    commands, keys = (source / "commands.md").read_text(), (source / "keys.md").read_text()
    assert all(f"\n## lbproxy {name}\n" in commands for name in COMMANDS)
    assert "\n### lbproxy instance pack\n" in commands
    assert all(f"`{entry.name}`" in keys or f"## [{entry.name}]" in keys for entry in entries())
    assert "default: `" in keys


@pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="it installs Sphinx")
def test_the_site_is_whole_and_loads_nothing_from_elsewhere() -> None:
    subprocess.run(["make", "-s", "docs"], cwd=ROOT, check=True)
    pages = list((ROOT / "build" / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text()
        assert not re.findall(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"', text), page
