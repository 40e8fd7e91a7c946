"""The one-file program in a root that has glibc and nothing else, as a user who is not root.

LBPROXY_FULL=1, as root, after `make dist`: these tests take the file in dist/. The root has no Python, no shell and no
library of Kerberos; the network is this host's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbproxy.demo.ports import free_port
from tests.control.probes.kerberos.peers import PRINCIPAL, SPN, Corp
from tests.deployment.said import Speaker

DIST = Path(os.environ.get("LBPROXY_DIST", Path(__file__).parents[2] / "dist"))
FILES = sorted(DIST.glob("lbproxy-*-linux-x86_64"))
USER = 10001
PROGRAM = "/usr/local/bin/lbproxy"
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2", "libutil.so.1")
LIBRARIES = Path("/lib/x86_64-linux-gnu")
LOADER = Path("lib64/ld-linux-x86-64.so.2")
WITHIN = 120.0

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="LBPROXY_FULL=1 starts the one-file program"),
    pytest.mark.skipif(not FILES, reason="make dist has made no one-file program"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own needs root"),
]


class Root:
    """A folder that programs see as the root; `enter` is put before their words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("lib64", "lib/x86_64-linux-gnu", "proc", "dev", "etc", "usr/local/bin", "tmp", "srv", "home/user"):
            (folder / name).mkdir(parents=True)
        for name in ("tmp", "srv", "home/user"):
            (folder / name).chmod(0o1777)
        shutil.copy(f"/{LOADER}", folder / LOADER)
        for name in GLIBC:
            shutil.copy(LIBRARIES / name, folder / str(LIBRARIES).lstrip("/") / name)
        shutil.copy(FILES[-1], folder / PROGRAM.lstrip("/"))
        shutil.copy("/etc/hosts", folder / "etc")
        (folder / "etc" / "passwd").write_text(f"user:x:{USER}:{USER}::/home/user:/none\n")

    def enter(self, before: str = "") -> list[str]:
        """before: what is done in the namespace of mounts, as root, with $1 for the root."""
        inside = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"; ' + before
        inside += f'\nroot=$1; shift; exec chroot --userspec={USER}:{USER} "$root" "$@"'
        return ["unshare", "--mount", "sh", "-c", inside, "sh", str(self.folder)]

    def run(self, *words: str, before: str = "", check: bool = True, **environment: str) -> tuple[str, str]:
        """What lbproxy says on its two outputs."""
        done = subprocess.run(
            [*self.enter(before), PROGRAM, *words],
            env={"HOME": "/home/user", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN,
        )
        assert (done.returncode == 0) == check, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Root:
    tmp_path.chmod(0o755)
    return Root(tmp_path / "root")


@pytest.fixture
def corp(tmp_path: Path) -> Iterator[Corp]:
    made = Corp(tmp_path / "realm")
    yield made
    made.realm.stop()


def configure(root: Root, corp: Corp, url: str) -> str:
    """The URL that it serves, with two workers, and a Kerberos check by the root's own /etc/krb5.conf."""
    shutil.copy(corp.realm.env["KRB5_CONFIG"], root.folder / "etc" / "krb5.conf")
    keytab = Path(shutil.copy(corp.probe_keytab, root.folder / "srv" / "probe.keytab"))
    os.chown(keytab, USER, USER)
    bind = f"127.0.0.1:{free_port()}"
    (root.folder / "srv" / "lb.toml").write_text(f"""\
server_url = "http://login.test"
workers = 2
[admin]
bind = "unix:/srv/admin.sock"
[listener.login]
bind = "{bind}"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "{url}" }}]
[pool.connectors.check]
kind = "kerberos"
path = "/wsfed"
interval = "0.3s"
timeout = "10s"
kerberos = {{ principal = "{PRINCIPAL}", keytab = "/srv/probe.keytab", spn = "{SPN}" }}
""")
    return f"http://{bind}/healthz"


def fetch(url: str) -> str:
    """The answer's status."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: login.test", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=WITHIN).stdout


@contextmanager
def serving(root: Root) -> Iterator[Speaker]:
    """From its first answer to its end, which is an orderly one."""
    command = [*root.enter(), PROGRAM, "run", "-c", "/srv/lb.toml"]
    with subprocess.Popen(command, env={"HOME": "/home/user"}, stderr=subprocess.PIPE, text=True) as process:
        served = Speaker(process)
        try:
            served.until("ready: ")
            yield served
            process.terminate()
            assert process.wait(WITHIN) == 0
        finally:
            process.kill()


def test_it_serves_with_kerberos_workers_reload_and_upgrade(root: Root, corp: Corp) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        url = configure(root, corp, connector.url)
        root.run("check", "-c", "/srv/lb.toml")
        with serving(root) as served:
            assert "1 of 1 backends in rotation" in served.seen[-1]
            assert fetch(url) == "200"
            status = json.loads(root.run("status", "-c", "/srv/lb.toml", "--json")[0])
            assert status["openssl"]["direct"] is True
            assert [one["tickets"]["reason_text"] for one in status["pools"]] == [None]
            assert status["pid"] == served.process.pid
            root.run("reload", "-c", "/srv/lb.toml")

            # The upgrade becomes what the path leads to by then: a file of another digest, unpacked beside the first.
            program = root.folder / PROGRAM.lstrip("/")
            other = program.with_name("other")
            shutil.copy(program, other)
            other.rename(program)
            before = program.stat().st_ino
            served.process.send_signal(signal.SIGUSR2)
            served.until("generation_serves generation=3")
            words = Path(f"/proc/{served.process.pid}/cmdline").read_text().split("\0")
            assert (words[0], words[4]) == (PROGRAM, "resume")
            assert program.stat().st_ino == before
            assert fetch(url) == "200"


def test_it_is_unpacked_once_and_nothing_else_is_left(root: Root) -> None:
    root.run("--version")
    [folder] = (root.folder / "home/user/.cache/lbproxy").iterdir()
    made = folder.stat()
    root.run("--version")
    [again] = (root.folder / "home/user/.cache/lbproxy").iterdir()
    assert (again, again.stat().st_ino) == (folder, made.st_ino)
    assert list((root.folder / "tmp").iterdir()) == []


def test_it_has_the_files_of_the_wheel_and_no_others(root: Root) -> None:
    """Not those of the checkout that it was built in, where the C of compiled modules lies too."""
    root.run("--version")
    [folder] = (root.folder / "home/user/.cache/lbproxy").iterdir()
    place = folder / "_internal"
    found = {str(path.relative_to(place)) for path in (place / "lbproxy").rglob("*") if path.is_file()}
    [wheel] = DIST.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = {name for name in files.namelist() if name.startswith("lbproxy/") and not name.endswith("/")}
        assert found == {name.removesuffix(".py") + ".pyc" if name.endswith(".py") else name for name in names}
        for name in names:
            if not name.endswith((".py", ".so")):  # those are compiled, and stripped
                assert files.read(name) == (place / name).read_bytes(), name


def test_what_a_crash_of_the_host_may_have_taken_is_unpacked_anew(root: Root) -> None:
    """The start does not wait for the disk; what it has not written yet counts until the next boot."""
    root.run("--version")
    [folder] = (root.folder / "home/user/.cache/lbproxy").iterdir()
    subprocess.run(["flock", folder, "true"], check=True)  # who writes it to the disk holds it until then
    whole, boot, part = folder / ".whole", folder / ".boot", folder / "_internal" / "abc.pyc"
    assert boot.read_text() == Path("/proc/sys/kernel/random/boot_id").read_text()
    made = folder.stat().st_ino
    whole.unlink()
    root.run("--version")
    assert folder.stat().st_ino == made

    size = part.stat().st_size
    os.truncate(part, 0)
    boot.write_text("another")
    root.run("--version")
    assert (part.stat().st_size, boot.read_text() != "another") == (size, True)

    subprocess.run(["flock", folder, "true"], check=True)
    made = folder.stat().st_ino
    boot.write_text("another")
    assert whole.exists()
    root.run("--version")
    assert folder.stat().st_ino == made


def test_folders_of_other_versions_go_unless_somebody_runs_them(root: Root) -> None:
    place = root.folder / "home/user/.cache/lbproxy"
    for name in ("0" * 32, "1" * 32, ".unfinished-1", "not-ours"):
        (place / name / "deep").mkdir(parents=True)
    for path in (root.folder / "home/user/.cache").rglob("*"):
        os.chown(path, USER, USER)
    os.chown(place.parent, USER, USER)
    held = subprocess.Popen(
        ["flock", "--shared", place / ("1" * 32), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with held:
        assert held.stdin is not None
        assert held.stdout is not None
        held.stdin.write(b"x\n")
        held.stdin.flush()
        held.stdout.readline()  # it has the lock
        root.run("--version")
        left = {one.name for one in place.iterdir()}
    assert {"1" * 32, "not-ours"} < left
    assert len(left) == 3


def test_a_folder_that_others_may_change_is_not_used(root: Root) -> None:
    bad = root.folder / "tmp" / f"lbproxy-{USER}"
    bad.mkdir()
    bad.chmod(0o777)
    said = root.run("--version", check=False, HOME="/none")[1]
    assert f"/tmp/lbproxy-{USER}: others may change it" in said
    assert said.count("\n") == 1
    assert list(bad.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ('mount --rbind "$1" "$1" && mount -o remount,ro,bind "$1"', "Read-only file system"),
        ('rmdir "$1/tmp"', "No such file or directory"),
        ('mount -t tmpfs -o noexec,mode=1777 none "$1/tmp"', "mounted with noexec"),
        ('mount -t tmpfs -o size=1m,mode=1777 none "$1/tmp"', "No space left on device"),
    ],
    ids=["read-only", "no-tmp", "noexec", "full"],
)
def test_where_it_cannot_be_unpacked_one_line_says_so(root: Root, before: str, why: str) -> None:
    said = root.run("--version", before=before, check=False, HOME="/none")[1]
    assert f"/tmp/lbproxy-{USER}: {why}" in said
    assert "MiB are needed to unpack the program" in said
    assert "LBPROXY_UNPACK_TO" in said
    assert said.count("\n") == 1


def test_a_read_only_root_is_enough_with_a_folder_for_it(root: Root) -> None:
    before = 'mount --rbind "$1" "$1" && mount -o remount,ro,bind "$1" && mount -t tmpfs -o mode=1777 none "$1/srv"'
    assert "lbproxy, version" in root.run("--version", before=before, LBPROXY_UNPACK_TO="/srv/lbproxy")[0]


def test_a_host_without_glibc_is_told_what_is_needed(root: Root) -> None:
    (root.folder / LOADER).unlink()
    said = root.run("--version", check=False)[1]
    assert said.startswith("lbproxy: error: glibc 2.")
    assert "or newer is needed, and this host has none" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("says", "found"), [("ld.so (GNU libc) stable release version 2.33.", "2.33"), ("", "an older one")]
)
def test_a_host_with_an_old_glibc_is_told_what_is_needed(root: Root, tmp_path: Path, says: str, found: str) -> None:
    source = tmp_path / "loader.c"
    source.write_text(f'#include <stdio.h>\nint main(void) {{ return puts("{says}") < 0; }}\n')
    subprocess.run(["gcc", "-static", "-o", root.folder / LOADER, source], check=True)
    said = root.run("--version", check=False)[1]
    assert f"or newer is needed, and this host has {found}\n" in said
    assert said.count("\n") == 1
