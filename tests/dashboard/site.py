"""[admin.web] with certificates and passwords of its own, for tests."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from lbproxy.dashboard.settings import WebSettings
from tests.pki import DAY, Authority

PASSWORD = "correct horse"

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Who is signed in by a file of these takes a thousandth of the time."""


def settings(folder: Path, **changed: Any) -> WebSettings:
    """With the files that `make_files` makes in `folder`."""
    given = {
        "admin": [str(folder / "admin.sock")],
        "certificate": str(folder / "web.pem"),
        "key": str(folder / "web.key"),
        "sign_in": ["certificate", "password"],
        "keytab": None,
        "client_ca": str(folder / "ca.pem"),
        "passwords": str(folder / "passwd"),
        "viewers": ["vera", "CN=Vera*"],
        "operators": ["olga", "CN=Olga Ops"],
        "idle_timeout": 1800.0,
        "session_timeout": 43200.0,
    }
    return WebSettings(**{**given, **changed})


def make_files(folder: Path, *names: str) -> ssl.SSLContext:
    """web.pem and web.key for `names`, ca.pem, and passwd with olga, vera and otto. Returns what trusts them.

    olga-ops and stranger are client certificates, the second of an unknown authority; odd has a name of two lines.
    """
    root = Authority.root("root")
    root.server(*(names or ("127.0.0.1",)), ends=100 * DAY).write(folder, "web")
    root.write_certificate(folder / "ca.pem")
    root.issue("Olga Ops").write(folder, "olga-ops")
    root.issue("Olga Ops\nlevel=ERROR").write(folder, "odd")
    Authority.root("elsewhere").issue("Olga Ops").write(folder, "stranger")
    known = CHEAP.hash(PASSWORD)
    (folder / "passwd").touch(0o600)
    (folder / "passwd").write_text("".join(f"{name}:{known}\n" for name in ("olga", "vera", "otto")))
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))
