"""What makes the demo's commands short."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lbproxy.demo.shell import write_env


def test_a_shell_that_has_read_it_finds_everything(tmp_path: Path) -> None:
    """Whatever the folder is called."""
    home = tmp_path / 'a $folder\'s "name"'
    home.mkdir()
    env = write_env(home, home / "ca.pem", ["login.test:8443"], {"KRB5CCNAME": "FILE:a b"})
    shown = '. "$1"; printf "%s\\n" "$DEMO" "$LBPROXY_CONFIG" "$CURL_HOME" "$KRB5CCNAME"'
    shown += "; command -v lbproxy; command -v restart"
    out = subprocess.run(["sh", "-c", shown, "sh", str(env)], check=True, capture_output=True, text=True).stdout
    assert out.splitlines() == [
        str(home),
        str(home / "lbproxy.toml"),
        str(home),
        "FILE:a b",
        str(home / "bin" / "lbproxy"),
        str(home / "bin" / "restart"),
    ]


def test_curl_goes_to_the_demo(tmp_path: Path) -> None:
    write_env(tmp_path, tmp_path / 'c"a', ["login.test:8443"], {})
    settings = (tmp_path / ".curlrc").read_text().splitlines()
    assert 'resolve = "login.test:8443:127.0.0.1"' in settings
    assert f'cacert = "{tmp_path}/c\\"a"' in settings


def test_restart_ends_a_process_in_good_order(tmp_path: Path) -> None:
    write_env(tmp_path, tmp_path / "ca.pem", [], {})
    with subprocess.Popen(["sleep", "1000"]) as child:
        (tmp_path / "c1.pid").write_text(f"{child.pid}\n")
        restart = subprocess.Popen([str(tmp_path / "bin" / "restart"), "c1"])
        assert child.wait() == -15
    assert restart.wait() == 0
    gone = subprocess.run([str(tmp_path / "bin" / "restart"), "c2"], capture_output=True, check=False)
    assert gone.returncode == 1


def test_lbproxy_is_this_one(tmp_path: Path) -> None:
    write_env(tmp_path, tmp_path / "ca.pem", [], {})
    out = subprocess.run([str(tmp_path / "bin" / "lbproxy"), "--version"], check=True, capture_output=True, text=True)
    assert out.stdout.startswith("lbproxy, version ")
