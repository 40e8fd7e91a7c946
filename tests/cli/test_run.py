"""`lbproxy run` as a command: what it says, and its exit status."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

RUN = (sys.executable, "-m", "lbproxy", "run", "-c")

CONFIG = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:{port}"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:9" }}]
[pool.connectors.check]
kind = "none"
[access_log]
path = ""
[admin]
bind = "unix:admin.sock"
"""


def write(tmp_path: Path, port: int) -> Path:
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(port=port))
    return path


def test_a_clean_stop_is_status_0(tmp_path: Path) -> None:
    process = subprocess.Popen([*RUN, write(tmp_path, 0)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line == "ready: http://login.test (1 of 1 backends in rotation)\n":
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert not (tmp_path / "admin.sock").exists()


def writes(path: Path) -> list[str]:
    """What each write(2) to standard error had, in a Python that buffers nothing: a message of the socket each."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            process = subprocess.Popen([*RUN, path], stderr=theirs.fileno(), env=environment)
        seen = []
        while message := ours.recv(1 << 16):
            seen.append(message.decode())
            if "ready: " in seen[-1]:
                process.send_signal(signal.SIGTERM)
        process.wait()
    return seen


def test_a_line_is_one_write_which_no_line_of_another_process_can_tear(tmp_path: Path) -> None:
    served = writes(write(tmp_path, 0))
    assert "ready: http://login.test (1 of 1 backends in rotation)\n" in served
    assert all(text.endswith("\n") for text in served), served
    path = tmp_path / "bad.toml"
    path.write_text("workerz = 1\n")
    refused = writes(path)
    assert all(text.startswith("lbproxy: error: ") and text.endswith("\n") for text in refused), refused
    assert any("workerz" in text for text in refused)


def test_a_bad_file_is_status_1_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text('server_url = "ftp://x"\nworkerz = 1\n')
    done = subprocess.run([*RUN, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "server_url" in done.stderr
    assert "workerz" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_in_use_is_status_1_and_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*RUN, write(tmp_path, port)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"listener.login.bind: cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_file_it_serves_and_says_what_it_amounts_to(tmp_path: Path) -> None:
    admin = tmp_path / "admin.sock"
    listen = ("--listen", "127.0.0.1:0", "--server-url", "http://login.test")
    arguments = (*listen, "--to", "http://127.0.0.1:9", "--check", "none", "--admin", f"unix:{admin}")
    process = subprocess.Popen([*RUN[:-1], *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    said = []
    with process.stderr:
        for line in process.stderr:
            said.append(line)
            if line.startswith("ready: "):
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    path = tmp_path / "run-127.0.0.1-0.toml"
    assert f"lbproxy: this is {path}; commands reach it with --admin unix:{admin}\n" in said
    assert path.read_text() in "".join(said)
    printed = subprocess.run([*RUN[:-1], *arguments, "--print"], capture_output=True, text=True, check=True)
    assert printed.stdout == path.read_text()


def test_a_file_and_its_options_exclude_each_other(tmp_path: Path) -> None:
    arguments = ("--listen", "127.0.0.1:0", "--to", "http://127.0.0.1:9")
    done = subprocess.run([*RUN, write(tmp_path, 0), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "-c FILE and the options that stand for a file exclude each other" in done.stderr
