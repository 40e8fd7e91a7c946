"""What makes the demo's commands short: a file for a shell to read, and two programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from lbproxy import program
from lbproxy.demo.ports import LOOPBACK

_RESTART = """\
#!/bin/sh
# restart NAME: end a connector in good order. The demo starts it again at once.
home=$(dirname "$(dirname "$0")")
pid=$(cat "$home/$1.pid") && kill -TERM "$pid" || exit 1
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
"""


def write_env(home: Path, ca: Path, names: Iterable[str], ticket: Mapping[str, str]) -> Path:
    """The file, in `home`, which has the configuration as lbproxy.toml; curl, lbproxy and `restart` are led to it.

    names: what is on this machine, each with its port, as in login.corp.example:8443. ticket: the environment of one.
    """
    programs = home / "bin"
    programs.mkdir()
    _write_program(programs / "lbproxy", f'#!/bin/sh\nexec {shlex.join(program.command("lbproxy"))} "$@"\n')
    _write_program(programs / "restart", _RESTART)
    resolve = [f'resolve = "{name}:{LOOPBACK}"' for name in names]
    curl = ["silent", "show-error", "fail", f"cacert = {_in_curlrc(str(ca))}", 'write-out = "\\n"', *resolve, ""]
    (home / ".curlrc").write_text("\n".join(curl))
    variables = {"DEMO": str(home), "LBPROXY_CONFIG": str(home / "lbproxy.toml"), "CURL_HOME": str(home), **ticket}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    file = home / "env"
    file.write_text("\n".join([*lines, f'export PATH={shlex.quote(str(programs))}:"$PATH"', ""]))
    return file


def _in_curlrc(text: str) -> str:
    """In quotes, as curl(1) reads them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
