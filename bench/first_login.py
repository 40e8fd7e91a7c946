"""Commands and seconds from a clean Debian to the first forwarded login: each way to install, beside Caddy and HAProxy.

    python -m bench.first_login                                   # every way, three times
    python -m bench.first_login --ways file,caddy --rounds 1      # less
    python -m bench.first_login --dist FOLDER                     # packages from elsewhere
    python -m bench.first_login --times FILE                      # begins anew, with no times of earlier runs

As root, with mmdebstrap and git, after `make dist` and `make image`. Each way begins in a root of its own: the least
that the Debian release of the packages in dist/ can be, without apt's lists and without Python. The network is this
host's.

The clock runs from the first command until the answer to a login is back: a request with a Negotiate token, on a new
TLS connection, that a backend has answered. It is tried twenty times a second. What is typed costs no time, and files
of lbproxy come from a local folder; Debian's and Python's packages come from the mirrors of this host. Each time is
kept; the table has the medians of all that are.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from bench.options import Names
from bench.processes import free_port

HOST = "login.test"
TOKEN = "Negotiate YIIBhwYGKwYBBQUC"
EVERY = 0.05  # seconds between two tries
GIVES_UP = 900.0  # seconds after which a way has failed
TITLES = """\
| way | commands | seconds to the first login | of them since the last command |
| --- | --- | --- | --- |"""
ROOTS = Path("build/bench/roots")
RELEASES = {"deb12": "bookworm", "deb13": "trixie"}


@dataclass(frozen=True)
class Way:
    """Commands of a shell in the clean root; the last one serves. {port} and {backend} are ports of 127.0.0.1.

    configuration: the file that the user has written before, at /root/proxy.conf."""

    title: str
    commands: Sequence[str]
    configuration: str = ""


SERVE = "lbproxy run --listen 127.0.0.1:{port} --self-signed --to http://127.0.0.1:{backend}"
UPDATE = "apt-get update"
INSTALL = "apt-get install -y --no-install-recommends"
HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend login
    bind 127.0.0.1:{port} ssl crt /root/login.pem
    default_backend connectors
backend connectors
    server c1 127.0.0.1:{backend} check
"""
CERTIFICATE = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={HOST} -keyout login.key -out login.crt"
WAYS = {
    "file": Way("lbproxy, one file", ("install -m 0755 /dist/lbproxy-*-linux-x86_64 /usr/local/bin/lbproxy", SERVE)),
    "deb": Way("lbproxy, Debian package", (UPDATE, f"{INSTALL} /dist/lbproxy_*.deb", SERVE)),
    "wheel": Way(
        "lbproxy, wheel",
        (
            UPDATE,
            f"{INSTALL} python3-venv",
            "tar -xf /dist/lbproxy-*.tar.gz",
            "python3 -m venv /opt/lbproxy",
            "/opt/lbproxy/bin/pip install -c lbproxy-*/constraints.txt /dist/lbproxy-*.whl",
            f"/opt/lbproxy/bin/{SERVE}",
        ),
    ),
    "image": Way(
        "lbproxy, image",
        (
            UPDATE,
            f"{INSTALL} buildah netavark",
            "buildah from --ulimit nofile=999 --ulimit nproc=999 --name lbproxy docker-archive:/dist/lbproxy-image.tar",
            f"buildah run --isolation chroot lbproxy -- {SERVE}",
        ),
    ),
    "source": Way(
        "lbproxy, source with make",
        (
            UPDATE,
            f"{INSTALL} git make",
            "git clone /srv/lbproxy.git lbproxy",
            "cd lbproxy",
            "make build",
            f".venv/bin/{SERVE}",
        ),
    ),
    "caddy": Way(
        "Caddy, Debian's",
        (
            UPDATE,
            f"{INSTALL} caddy",
            f"caddy reverse-proxy --from https://{HOST}:{{port}} --to 127.0.0.1:{{backend}} --internal-certs",
        ),
    ),
    "haproxy": Way(
        "HAProxy, Debian's",
        (
            UPDATE,
            f"{INSTALL} haproxy openssl",
            CERTIFICATE,
            "cat login.crt login.key >login.pem",
            "haproxy -db -f proxy.conf",
        ),
        HAPROXY,
    ),
}


@dataclass(frozen=True)
class Timed:
    """Seconds until the first login was answered: since the first command, and since the last one."""

    whole: float
    serving: float


class _Connector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["Authorization"] == TOKEN else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def connector() -> Iterator[int]:
    """A backend that answers a login with 200, and all else with 401; its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Connector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def logs_in(port: int) -> bool:
    """Whether a login, on a new TLS connection, is answered by a connector. Certificates of trials are not verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 2) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as tls,
        ):
            tls.sendall(f"GET /wsfed HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {TOKEN}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(tls)
            answer.begin()
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def first_login(process: subprocess.Popen[bytes], port: int, log: Path) -> float:
    """When it was answered, on the monotonic clock. RuntimeError with the end of `log` if `process` ends before."""
    deadline = time.monotonic() + GIVES_UP
    while not logs_in(port):
        if process.poll() is not None or time.monotonic() > deadline:
            why = "it took too long" if process.returncode is None else f"it ended with {process.returncode}"
            raise RuntimeError(f"no login was answered: {why}\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(EVERY)
    return time.monotonic()


def script(way: Way, port: int, backend: int) -> str:
    """What a shell runs: the commands, and just before the last one a file /started."""
    commands = [one.format(port=port, backend=backend) for one in way.commands]
    return "\n".join(["set -e", "cd /root", *commands[:-1], ": >/started", f"exec {commands[-1]}"])


_ENTER = """\
root=$1/root; mkdir "$1/upper" "$1/work" "$1/containers" "$root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$root"
mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/run"; mkdir -p "$root/dist" "$root/var/lib/containers"
mount --bind "$1/containers" "$root/var/lib/containers" # for layers: there are none upon this root's own
mount --bind "$3" "$root/dist"; mount --bind "$1/given" "$root/srv"; cp "$1/given/proxy.conf" "$root/root"
for file in hosts resolv.conf pip.conf; do [ ! -e "/etc/$file" ] || cp "/etc/$file" "$root/etc/"; done
exec chroot "$root" sh /srv/commands
"""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    # The authorities that this host trusts; a clean root has none.
    "PIP_CERT": "/srv/authorities.pem",
}


def measure(way: Way, root: Path, dist: Path) -> Timed:
    """One time, in a copy of `root` that ends with it. RuntimeError if no login is answered."""
    with tempfile.TemporaryDirectory(dir=ROOTS) as folder, connector() as backend:
        port, place = free_port(), Path(folder)
        given, log = place / "given", place / "log"
        given.mkdir()
        (given / "commands").write_text(script(way, port, backend))
        (given / "proxy.conf").write_text(way.configuration.format(port=port, backend=backend))
        (given / "authorities.pem").write_bytes(_authorities())
        subprocess.run(["git", "clone", "--quiet", "--bare", ".", given / "lbproxy.git"], check=True)
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", _ENTER, "sh"]
        with log.open("wb") as out:
            words = [*inside, str(place.resolve()), str(root.resolve()), str(dist.resolve())]
            begins, began = time.monotonic(), time.time()
            process = subprocess.Popen(
                words, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            whole = first_login(process, port, log) - begins
        finally:
            end(process)
        return Timed(whole, whole - ((place / "upper" / "started").stat().st_mtime - began))


def end(process: subprocess.Popen[bytes]) -> None:
    """Of unshare: its child is process 1 of a namespace, which takes all others with it."""
    if process.poll() is not None:
        return
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    process.wait(GIVES_UP)


def _authorities() -> bytes:
    found = ssl.get_default_verify_paths().cafile
    return Path(found).read_bytes() if found else b""


def release(dist: Path) -> str:
    """The Debian release that the packages in `dist` are for."""
    names = [one.name for one in dist.glob("lbproxy_*.deb")]
    found = [RELEASES[word] for word in RELEASES if any(f"~{word}_" in name for name in names)]
    if len(found) != 1:
        raise click.ClickException(f"{dist}: {len(found)} Debian packages of a known release; make dist makes one")
    return found[0]


def clean_root(name: str) -> Path:
    """A root of the least that this release can be, made once."""
    folder = ROOTS / name
    if not folder.exists():
        ROOTS.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_suffix(".unfinished")
        subprocess.run(["rm", "-rf", unfinished], check=True)
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", name, unfinished], check=True)
        unfinished.rename(folder)
    return folder


def line(way: Way, times: Sequence[Timed]) -> str:
    """Of a Markdown table: the medians, and the fastest and slowest."""
    whole, serving = [one.whole for one in times], [one.serving for one in times]
    typed = f"{len(way.commands)}"
    if lines := len(way.configuration.splitlines()):
        typed += f", and {lines} lines of configuration"
    medians = (
        f"{statistics.median(whole):.1f} ({min(whole):.1f} to {max(whole):.1f}) | {statistics.median(serving):.1f}"
    )
    return f"| {way.title} | {typed} | {medians} |"


def keep(file: Path, debian: str, name: str, timed: Timed) -> None:
    """One line more of JSON."""
    with file.open("a") as lines:
        json.dump({"debian": debian, "way": name, **asdict(timed)}, lines)
        lines.write("\n")


def kept(file: Path, debian: str) -> dict[str, list[Timed]]:
    """All times of this release, for each way that has one, in the order of WAYS."""
    found: dict[str, list[Timed]] = {name: [] for name in WAYS}
    for one in map(json.loads, file.read_text().splitlines()):
        if one["debian"] == debian:
            found[one["way"]].append(Timed(one["whole"], one["serving"]))
    return {name: times for name, times in found.items() if times}


@click.command(help=__doc__)
@click.option("--ways", type=Names(list(WAYS)), default=",".join(WAYS), show_default=True)
@click.option(
    "--dist", type=click.Path(exists=True, file_okay=False, path_type=Path), default="dist", show_default=True
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--times", type=click.Path(path_type=Path), default="build/bench/first_login.jsonl", show_default=True)
def main(ways: list[str], dist: Path, rounds: int, times: Path) -> None:
    if os.geteuid() != 0:
        raise click.ClickException("roots of their own need root")
    debian = release(dist)
    root = clean_root(debian)
    try:
        for _ in range(rounds):
            for name in ways:
                keep(times, debian, name, measure(WAYS[name], root, dist))
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    print(f"{debian}, {os.cpu_count()} cores\n\n{TITLES}")
    for name, found in kept(times, debian).items():
        print(line(WAYS[name], found))


if __name__ == "__main__":
    main()
