"""The image, run as engines run it: its user, its entry point, process 1 of namespaces of its own.

LBPROXY_FULL=1, as root, after tools/image: these tests take localhost/lbproxy of buildah's storage, and need no engine.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbproxy import __version__
from tests.deployment.said import Speaker
from tests.deployment.sample import CONFIGURATION, CONNECTOR

NAME = f"localhost/lbproxy:{__version__}"
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")


def buildah(*arguments: str) -> str:
    return subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def there_is_an_image() -> bool:
    asked = ["buildah", "inspect", "--type", "image", NAME]
    return (
        shutil.which("buildah") is not None and not subprocess.run(asked, capture_output=True, check=False).returncode
    )


pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("LBPROXY_FULL") or os.geteuid() != 0, reason="LBPROXY_FULL=1 mounts images, as root"
    ),
    pytest.mark.skipif(
        not os.environ.get("LBPROXY_FULL") or not there_is_an_image(), reason="tools/image has made no image"
    ),
]


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """What an engine reads of the image."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", NAME))["Docker"]["config"]
    return found


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The image's files, and a configuration among them."""
    container = buildah("from", NAME)
    try:
        folder = Path(buildah("mount", container))
        (folder / "etc" / "lbproxy" / "lbproxy.toml").write_text(CONFIGURATION)
        yield folder
    finally:
        buildah("rm", container)


class Container(Speaker):
    """Process 1 of the image in namespaces; `pid` as this host numbers it."""

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self._root = root
        self._user = settings["User"]
        self._environment = dict(pair.partition("=")[::2] for pair in settings["Env"])
        enter = 'ip link set lo up && mount -t proc proc "$1/proc" && root=$1 user=$2 && shift 2'
        enter += ' && exec chroot --userspec="$user" "$root" "$@"'
        command = ["sh", "-ec", enter, "sh", str(root), self._user, *settings["Entrypoint"], *settings["Cmd"]]
        process = subprocess.Popen(
            ["unshare", "--fork", "--kill-child", *NAMESPACES, *command],
            env=self._environment | {"PATH": f"{self._environment['PATH']}:/usr/sbin:/sbin"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        super().__init__(process)

    @property
    def pid(self) -> str:
        [child] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return child

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec` does."""
        inside = ["nsenter", "--target", self.pid, *NAMESPACES, "chroot", f"--userspec={self._user}", str(self._root)]
        return subprocess.run(
            [*inside, *command], env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )

    def beside(self, *command: str) -> subprocess.Popen[str]:
        """A program of this host in its network."""
        return subprocess.Popen(["nsenter", "--target", self.pid, "--net", *command], stdout=subprocess.PIPE, text=True)


def test_it_is_not_root_and_has_a_health_check(settings: dict[str, Any]) -> None:
    assert settings["User"] == "10001:10001"
    assert settings["StopSignal"] == "SIGTERM"
    assert settings["Healthcheck"]["Test"][0] == "CMD-SHELL"
    assert settings["Healthcheck"]["Interval"] == 30 * 10**9


def test_it_has_one_layer_more_than_its_base() -> None:
    """Than the base of tools/image, which is one."""
    found = json.loads(buildah("inspect", "--type", "image", NAME))
    assert len(found["OCIv1"]["rootfs"]["diff_ids"]) == 2


def test_it_serves_as_process_1_and_ends_with_what_it_has_begun(root: Path, settings: dict[str, Any]) -> None:
    container = Container(root, settings)
    backend = None
    try:
        container.until("generation_serves")
        backend = container.beside(sys.executable, "-m", *CONNECTOR)
        assert backend.stdout is not None
        assert backend.stdout.readline().startswith("listening")
        container.until("backend_readmitted")
        ask = ("curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "-H", "Host: login.test")
        with container.beside(*ask, "http://127.0.0.1:8080/healthz") as curl:
            assert curl.communicate(timeout=60)[0] == "200"
        [_, check] = settings["Healthcheck"]["Test"]
        assert container.execute("sh", "-c", check).returncode == 0
        status = container.execute("lbproxy", "status", "--json")
        assert json.loads(status.stdout)["pid"] == 1
        os.kill(int(container.pid), getattr(signal, settings["StopSignal"]))
        assert container.process.wait(60) == 0
    finally:
        for process in (container.process, backend):
            if process is not None:
                with process:  # its pipe is closed too
                    process.kill()


def test_its_own_program_explains_keys(root: Path) -> None:
    """The reference is a link to a file that only this tree has."""
    ask = shlex.join(["/opt/lbproxy/bin/lbproxy", "help", "idle_timeout"])
    done = subprocess.run(["chroot", root, "sh", "-c", ask], capture_output=True, text=True, check=False)
    assert (done.returncode, "idle_timeout  (default" in done.stdout) == (0, True), done.stderr
