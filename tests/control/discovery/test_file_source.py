from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lbproxy import files
from lbproxy.balance.member import Member
from lbproxy.control.discovery.file_source import FileSource
from lbproxy.control.discovery.source import SourceError

ONE = '[{"name": "a", "url": "http://a:1"}]'
TWO = '[{"name": "a", "url": "http://a:1"}, {"name": "b", "url": "http://b:1"}]'
FOREVER = 3600.0


async def names(source: FileSource) -> list[str]:
    return [member.name for member in (await source.look()).members]


async def changes(source: FileSource) -> None:
    """Wait for it, as long as a test may."""
    async with asyncio.timeout(60):
        await source.wait(FOREVER)


async def test_json_and_toml_by_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(ONE)
    (tmp_path / "a.toml").write_text("backends = [{ name = 'a', url = 'http://a:1' }]")
    for name in ("a.json", "a.toml"):
        answer = await FileSource(tmp_path / name).look()
        assert answer.members == (Member("a", "http://a:1"),)


async def test_it_returns_when_the_file_is_renamed_into_place(tmp_path: Path) -> None:
    path, new = tmp_path / "list.json", tmp_path / "new"
    path.write_text(ONE)
    source = FileSource(path)
    assert await names(source) == ["a"]
    waiting = asyncio.create_task(changes(source))
    new.write_text(TWO)
    new.rename(path)
    await waiting
    assert await names(source) == ["a", "b"]


async def test_it_returns_although_another_file_is_renamed_into_place_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two looks find the same file."""
    path, numbers = tmp_path / "list.json", iter(range(10**9))
    path.write_text(ONE)
    source = FileSource(path)
    stamp = files.stamp

    def renamed(_: Path) -> files.Stamp | None:
        """Before each look."""
        new = tmp_path / f"{next(numbers)}"
        new.write_text(TWO)
        os.link(new, tmp_path / f"{new.name}.kept")  # or the next one may get its inode
        new.rename(path)
        return stamp(path)

    assert await names(source) == ["a"]
    monkeypatch.setattr(files, "stamp", renamed)
    await changes(source)
    assert await names(source) == ["a", "b"]


async def test_it_returns_when_the_file_is_written_in_place_or_removed_or_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(ONE)
    source = FileSource(path)
    await source.look()
    path.write_text(TWO)
    await changes(source)
    assert await names(source) == ["a", "b"]
    path.unlink()
    await changes(source)
    with pytest.raises(SourceError, match=r"list\.json: No such file"):
        await source.look()
    path.write_text(ONE)
    await changes(source)
    assert await names(source) == ["a"]


async def test_a_link_that_leads_to_another_file_is_seen(tmp_path: Path) -> None:
    """As Kubernetes renews what it mounts from a ConfigMap."""
    for name, text in (("1", ONE), ("2", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "list.json").write_text(text)
    (tmp_path / "now").symlink_to("1")
    source = FileSource(tmp_path / "now" / "list.json")
    await source.look()
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "now")
    await changes(source)
    assert await names(source) == ["a", "b"]


async def test_without_a_change_it_waits_as_long_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(ONE)
    source = FileSource(path)
    await source.look()
    waiting = asyncio.create_task(source.wait(FOREVER))
    await source.wait(0.6)  # two looks
    assert not waiting.done()
    waiting.cancel()


async def test_what_is_no_file_of_backends(tmp_path: Path) -> None:
    half, large, fifo = tmp_path / "half.json", tmp_path / "large.json", tmp_path / "fifo"
    half.write_text(TWO[:50])
    large.write_bytes(b" " * 10_000_000)
    os.mkfifo(fifo)
    for path, problem in [
        (tmp_path, "Is a directory"),
        (half, "it is not JSON"),
        (large, "larger than 4 MiB"),
        (fifo, "not a regular file"),
        (tmp_path / "none", "No such file or directory"),
    ]:
        with pytest.raises(SourceError, match=problem) as caught:
            await FileSource(path).look()
        assert str(caught.value).startswith(f"{path}: ")
