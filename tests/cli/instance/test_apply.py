"""`lbproxy instance apply`: a second connector of the first one, and back."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyrage
import pytest

from tests.instance.connector import Connector
from tests.instance.killer import ROOT

from .conftest import Run


def words(second: Connector, key: Path, *more: object) -> list[object]:
    return ["apply", "--dir", second.directory, "--identity", key, *more]


def test_a_second_one_and_back(run: Run, first: Connector, second: Connector, key: Path, packed: Path) -> None:
    before = second.files()
    shown = run(*words(second, key, "--dry-run", packed))
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (0, "nothing was changed")
    assert second.files() == before
    done = run(*words(second, key, "--yes", "--port", 40999, packed))
    assert done.exit_code == 0, done.stderr
    assert "PORT is 40999" in done.stdout
    wanted = {**first.config, "PORT": 40999}
    del wanted["FIREWALL_RULE_CREATED"]  # the host's own
    assert second.config == wanted
    assert run("diff", first.directory, second.directory).exit_code == 0
    again = run(*words(second, key, "--yes", packed))
    assert again.stdout.splitlines()[-1] == "everything is as packed already"
    undone = run(*words(second, key, "--yes", "--undo"))
    assert undone.exit_code == 0, undone.stderr
    assert second.files() == before


def test_asks_before_it_does_something(run: Run, second: Connector, key: Path, packed: Path) -> None:
    before = second.files()
    done = run(*words(second, key, packed))
    assert done.exit_code == 1
    assert "there is no terminal to ask at; add --yes, or --dry-run" in done.stderr
    assert second.files() == before


def test_problems_leave_everything_as_it_is(run: Run, second: Connector, key: Path, packed: Path) -> None:
    (second.directory / "package.json").write_text('{"name": "ad-ldap-connector", "version": "6.0.0"}')
    before = second.files()
    done = run(*words(second, key, "--yes", packed))
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "lbproxy: error: version: 6.0.0 is installed here, and the pack is of 6.1.2; install that first",
        "lbproxy: error: nothing was changed",
    ]
    assert second.files() == before


@pytest.mark.parametrize("damage", ["cut", "another key"])
def test_a_pack_that_cannot_be_opened(run: Run, second: Connector, key: Path, packed: Path, damage: str) -> None:
    before = second.files()
    if damage == "cut":
        packed.write_bytes(packed.read_bytes()[:-10])
    else:
        key.write_text(str(pyrage.x25519.Identity.generate()))
    done = run(*words(second, key, "--yes", packed))
    assert (done.exit_code, "cannot be opened" in done.stderr) == (1, True)
    assert second.files() == before
    assert not (second.directory / ".lbproxy-instance").exists()


def test_what_the_connector_wrote_since_is_told(run: Run, second: Connector, key: Path, packed: Path) -> None:
    run(*words(second, key, "--yes", packed))
    second.set(TENANT_SIGNING_KEY="new")
    done = run(*words(second, key, "--yes", "--undo"))
    assert f"{second.directory / 'config.json'} was changed after the apply, and that will be lost" in done.stderr
    assert done.exit_code == 0


def test_one_that_was_cut_off_is_dealt_with_first(run: Run, second: Connector, key: Path, packed: Path) -> None:
    """lbproxy itself is killed as it switches the second file."""
    script = (
        "import os, signal, sys\n"
        "from lbproxy.cli import main\n"
        "rename, count = os.rename, [0]\n"
        "def counted(*args, **options):\n"
        "    count[0] += 1\n"
        "    if count[0] == 4: os.kill(os.getpid(), signal.SIGKILL)\n"  # two are of the journal
        "    return rename(*args, **options)\n"
        "os.rename = counted\n"
        "main(sys.argv[1:])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, "instance", *map(str, words(second, key, "--yes", packed))],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    told = run(*words(second, key, "--dry-run", packed))
    assert "was cut off; the next apply deals with it first" in told.stdout
    refused = run("pack", "--dir", second.directory, "--recipient", f"{key}.pub", packed.with_suffix(".again"))
    assert "an apply was cut off here; run `lbproxy instance apply` again" in refused.stderr
    done = run(*words(second, key, "--yes", packed))
    assert "was cut off in the middle; it is finished now" in done.stdout
    assert done.stdout.splitlines()[-1] == "everything is as packed already"
    assert [path for path in second.directory.rglob("*lbproxy-*") if path.is_file()] == []


def test_undone_from_another_directory(
    run: Run, second: Connector, key: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was named by relative paths is where it was then: DIR, which is the working directory, and other files."""
    (tmp_path / "second.env").write_text("LOG=1\n")
    (tmp_path / "elsewhere").mkdir()
    with_environment = tmp_path / "e.pack"
    (tmp_path / "first.env").write_text("LDAP_BASE=DC=corp\n")
    packing = ("--dir", tmp_path / "first", "--environment", tmp_path / "first.env", "--recipient", f"{key}.pub")
    assert run("pack", *packing, with_environment).exit_code == 0
    before = second.files()
    monkeypatch.chdir(second.directory)
    done = run("apply", "--identity", key, "--yes", "--environment", "../second.env", with_environment)
    assert done.exit_code == 0, done.stderr
    assert f"apply --dir {second.directory} --undo" in done.stdout
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "LDAP_BASE" in (tmp_path / "second.env").read_text()
    undone = run(*words(second, key, "--yes", "--undo"))
    assert undone.exit_code == 0, undone.stderr
    assert (second.files(), (tmp_path / "second.env").read_text()) == (before, "LOG=1\n")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_usage(run: Run, second: Connector, key: Path, packed: Path, tmp_path: Path) -> None:
    assert "name a pack, or --undo alone" in run(*words(second, key)).stderr
    assert "name a pack, or --undo alone" in run(*words(second, key, "--undo", packed)).stderr
    assert "nothing was applied here" in run(*words(second, key, "--undo", "--yes")).stderr
    missing = run("apply", "--dir", tmp_path / "missing", "--identity", key, packed)
    assert (missing.exit_code, "missing: no directory" in missing.stderr) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_the_folder_of_another_account(run: Run, second: Connector, key: Path, packed: Path) -> None:
    """As root, everything is given to the account; its own folder is not believed if somebody else made it."""
    for path in [second.directory, *second.directory.rglob("*")]:
        os.chown(path, 1234, 2345)
    done = run(*words(second, key, "--yes", packed))
    assert done.exit_code == 0, done.stderr
    owned = {(path.stat().st_uid, path.stat().st_gid) for path in second.directory.rglob("*") if path.name[0] != "."}
    assert owned == {(1234, 2345), (0, 0)}, "the folder's own files are root's"
    assert (second.directory / "config.json").stat().st_uid == 1234
    assert (second.directory / "certs").stat().st_uid == 1234
    os.chown(second.directory / ".lbproxy-instance", 1234, 2345)
    assert "is not yours alone" in run(*words(second, key, "--undo", "--yes")).stderr


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that other accounts may pass through; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the account")
@pytest.mark.parametrize(("owner", "status"), [(1234, 0), (0, 1)])
def test_by_the_account_of_the_connector(key: Path, packed: Path, reachable: Path, owner: int, status: int) -> None:
    """It may change its own installation, and nobody else's; the pack is its own."""
    second = Connector.install(reachable / "second")
    for path in [second.directory, *second.directory.rglob("*")]:
        os.chown(path, owner, owner)
    key, packed = (Path(shutil.copy(path, reachable)) for path in (key, packed))
    for path in (key, packed):
        os.chown(path, 1234, 1234)
    script = (
        "import os, sys\n"
        "import encodings.utf_8_sig, pyrage\n"  # Python itself may be where only root can read
        "from lbproxy.cli import main\n"
        "from lbproxy.cli.instance import apply\n"
        "os.setgroups([]); os.setgid(1234); os.setuid(1234)\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", script, "instance", *map(str, words(second, key, "--yes", packed))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    if status:
        assert "belongs to another account; run this as root, or as that account" in done.stderr
        assert not (second.directory / ".lbproxy-instance").exists()
    else:
        assert (second.directory / "config.json").stat().st_uid == 1234


def test_another_kind(run: Run, key: Path, tmp_path: Path) -> None:
    for name, text in (("first", "connectorId: con-1\nimage: {tag: 1.8.0}\n"), ("second", "image: {tag: 1.8.0}\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "values.yaml").write_text(text)
        (tmp_path / name / "app.conf").write_text(name)
    there = ("--dir", tmp_path / "second", "--identity", key, "--yes")
    for kind, options, file in (("apono", (), "values.yaml"), ("files", ("--path", "app.conf"), "app.conf")):
        source = ("--kind", kind, "--dir", tmp_path / "first", *options)
        assert run("pack", *source, "--recipient", f"{key}.pub", tmp_path / "k.pack").exit_code == 0
        done = run("apply", *there, *options, tmp_path / "k.pack")
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / "second" / file).read_bytes() == (tmp_path / "first" / file).read_bytes()
        assert run("diff", "--kind", kind, *options, tmp_path / "first", tmp_path / "second").exit_code == 0


def test_at_a_terminal_it_asks(second: Connector, first: Connector, tmp_path: Path) -> None:
    """The passphrase, twice for a new pack, which is not shown; and whether to go on."""
    pack = str(tmp_path / "c.pack")
    said = at_terminal(["pack", "--dir", str(first.directory), pack], ["correct horse battery"] * 2)
    assert "Passphrase: " in said
    assert "correct horse" not in said
    said = at_terminal(["apply", "--dir", str(second.directory), pack], ["correct horse battery", "y"])
    assert "Go on? [y/N]: " in said
    assert second.config["SERVER_URL"] == "https://login.corp.example"


def at_terminal(arguments: list[str], answers: list[str]) -> str:
    """What the terminal shows; each answer is typed when something is asked."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "lbproxy", "instance", *arguments])
    shown, asked = "", 0
    with os.fdopen(terminal, "rb+", buffering=0) as file, suppress(OSError):  # EIO: it has ended
        while more := file.read(1024).decode():
            shown += more
            if answers and len(re.findall(r": (?!.*\n)$", shown[asked:])):
                asked = len(shown)
                file.write(f"{answers.pop(0)}\n".encode())
    os.waitpid(pid, 0)
    return shown
