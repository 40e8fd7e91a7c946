"""A throwaway Kerberos realm on 127.0.0.1, made with Debian's krb5-kdc programs.

Why not the k5test package, which does nearly the same: it is a test dependency, and this realm also serves
`lbproxy demo`, which runs without any; it takes fixed port numbers (two realms at once collide), starts one
kadmin.local for every principal, listens under the host's own name instead of loopback, and can neither hand out a
service's old keytab beside the new one nor give two acceptors on one host a replay cache each.

    with Realm(directory) as realm:
        realm.add_user("alice", "secret")
        keytab = realm.add_service("HTTP/login.corp.example")
        environment = os.environ | realm.kinit("alice")

Everything is in the one directory, which belongs to the caller and is left as it is at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lbproxy.demo.ports import free_port
from lbproxy.errors import StartError

DEBIAN_PACKAGES = {
    "krb5kdc": "krb5-kdc",
    "kdb5_util": "krb5-kdc",
    "kadmin.local": "krb5-admin-server",
    "kinit": "krb5-user",
}

_LIBDEFAULTS = {
    "dns_lookup_kdc": "false",
    "dns_lookup_realm": "false",
    "dns_canonicalize_hostname": "false",
    "rdns": "false",
    "qualify_shortname": '""',
    "udp_preference_limit": "1",
}

# One encryption type: a password costs one derivation of a key (4096 rounds), not one for each type.
# A backlog of 5, the default, makes hundreds of users who log in at once wait for SYN retries.
_KDC_CONF = """\
[kdcdefaults]
    kdc_listen = ""
    kdc_tcp_listen = 127.0.0.1:{port}
    kdc_tcp_listen_backlog = 1024
[realms]
    {realm} = {{
        database_name = {directory}/principal
        key_stash_file = {directory}/stash
        acl_file = {directory}/acl
        supported_enctypes = aes256-cts-hmac-sha1-96:normal
    }}
[logging]
    kdc = FILE:{directory}/kdc.log
"""

_START_TRIES = 5


def krb5_conf(realm: str, *kdcs: str, **libdefaults: str) -> str:
    """What clients and acceptors need of a realm: its KDCs, HOST or HOST:PORT, in the order in which they are tried."""
    defaults = {"default_realm": realm, **_LIBDEFAULTS, **libdefaults}
    lines = ["[libdefaults]", *(f"    {key} = {value}" for key, value in defaults.items())]
    lines += ["[realms]", f"    {realm} = {{", *(f"        kdc = {kdc}" for kdc in kdcs), "    }"]
    return "\n".join([*lines, ""])


def find_programs() -> dict[str, str]:
    """The path of each program that a realm needs; raises StartError that names the Debian packages to install."""
    # Debian puts the KDC's programs where only root's PATH looks.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = {name: shutil.which(name, path=path) for name in DEBIAN_PACKAGES}
    missing = [name for name, program in found.items() if program is None]
    if missing:
        packages = sorted({DEBIAN_PACKAGES[name] for name in missing})
        raise StartError(f"a Kerberos realm needs {', '.join(missing)}: apt-get install {' '.join(packages)}")
    return {name: program for name, program in found.items() if program is not None}


class Realm:
    """One realm: its database, its KDC process and the configuration that clients and acceptors need.

    `env` is what a client needs in its environment, besides a ticket from kinit(). The KDC runs from start() to stop().
    Raises StartError when a program is missing or refuses.
    """

    def __init__(self, directory: Path, name: str = "CORP.EXAMPLE") -> None:
        self.directory = directory.absolute()
        self.name = name
        self.env = {
            "KRB5_CONFIG": str(self.directory / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{self.directory / 'ccache'}",
        }
        self._programs = find_programs()
        self._passwords: dict[str, str] = {}
        self._generations: dict[str, int] = {}
        self._kdc: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        state = f"kdc pid {self._kdc.pid}" if self._kdc else "stopped"
        return f"<Realm {self.name} {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def kdc_pid(self) -> int | None:
        """The process id of krb5kdc, None when it does not run."""
        return self._kdc.pid if self._kdc else None

    def start(self) -> None:
        """Makes the database in an empty (or new) directory and starts the KDC; it serves when this returns."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A free port may be taken by somebody else before the KDC binds it.
        for _ in range(_START_TRIES):
            self._configure(free_port())
            if not (self.directory / "stash").exists():
                self._run("kdb5_util", "create", "-s", "-P", "the realm is thrown away")
            if self._start_kdc():
                return
        raise StartError(f"krb5kdc does not start: {self._last_log_line()}")

    def stop(self) -> None:
        """Ends the KDC and waits for it; harmless when it does not run."""
        if self._kdc is None:
            return
        with self._kdc as kdc:  # waits, and closes its pipe
            kdc.terminate()
        self._kdc = None

    def add_user(self, name: str, password: str) -> str:
        """Adds one user; returns the principal, as in alice@CORP.EXAMPLE."""
        return self.add_users({name: password})[0]

    def add_users(self, passwords: Mapping[str, str]) -> list[str]:
        """Adds many users (about 4 ms each) by user name and password; returns their principals."""
        self._kadmin(
            *(f"addprinc -clearpolicy -pw {_quoted(password)} {_quoted(name)}" for name, password in passwords.items())
        )
        self._passwords.update(passwords)
        return [f"{name}@{self.name}" for name in passwords]

    def add_service(self, spn: str) -> Path:
        """Adds a service such as HTTP/login.corp.example with a random key; returns a keytab that holds it alone."""
        self._kadmin(f"addprinc -clearpolicy -randkey {_quoted(spn)}")
        return self._export(spn, "-norandkey")

    def rotate(self, spn: str) -> Path:
        """Gives a service a new key; returns a second keytab with that key. The earlier keytab stays, and is stale."""
        return self._export(spn)

    def kinit(self, user: str, ccache: Path | None = None) -> dict[str, str]:
        """Logs a user of add_user() in; returns the environment in which the ticket is found.

        `ccache` is the file for the ticket, by default one of the user's own in the realm's directory.
        """
        path = ccache or self.directory / f"{user}.ccache"
        self._run("kinit", "-c", f"FILE:{path}", user, typed=self._passwords[user] + "\n")
        return self.env | {"KRB5CCNAME": f"FILE:{path}"}

    def acceptor_env(self, instance: str) -> dict[str, str]:
        """The environment for an acceptor that has its own replay cache, as if on a machine of its own.

        MIT krb5 keeps one replay cache file a user id by default, so instances on one host would share it.
        """
        return {"KRB5_CONFIG": self.env["KRB5_CONFIG"], "KRB5RCACHENAME": f"file2:{self.directory}/{instance}.rcache"}

    def _configure(self, port: int) -> None:
        (self.directory / "krb5.conf").write_text(krb5_conf(self.name, f"127.0.0.1:{port}"))
        text = _KDC_CONF.format(realm=self.name, port=port, directory=self.directory)
        (self.directory / "kdc.conf").write_text(text)

    def _start_kdc(self) -> bool:
        """False when the KDC ended instead of serving: it says `starting...` once its port is bound."""
        kdc = subprocess.Popen(
            [self._programs["krb5kdc"], "-n"],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # the terminal's Ctrl-C is for the demo, which ends the KDC last
        )
        assert kdc.stdout is not None
        if "starting" in kdc.stdout.readline():
            self._kdc = kdc
            return True
        with kdc:
            return False

    def _last_log_line(self) -> str:
        log = self.directory / "kdc.log"
        return log.read_text().strip().rpartition("\n")[2] if log.exists() else "it says nothing"

    def _export(self, spn: str, *options: str) -> Path:
        generation = self._generations[spn] = self._generations.get(spn, 0) + 1
        keytab = self.directory / f"{spn.replace('/', '_')}.{generation}.keytab"
        self._kadmin(" ".join(["ktadd", *options, "-k", _quoted(str(keytab)), _quoted(spn)]))
        return keytab

    def _kadmin(self, *commands: str) -> None:
        """Feeds one kadmin.local with all the commands: starting it costs more than most of them."""
        self._run("kadmin.local", typed="".join(f"{command}\n" for command in commands))

    def _run(self, name: str, *arguments: str, typed: str = "") -> None:
        done = subprocess.run(
            [self._programs[name], *arguments],
            env=self._environment(),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        # kadmin.local ends with status 0 whatever became of its commands, but it is silent when they went well.
        if done.returncode or done.stderr:
            raise StartError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")

    def _environment(self) -> dict[str, str]:
        return os.environ | self.env | {"KRB5_KDC_PROFILE": str(self.directory / "kdc.conf"), "LC_ALL": "C"}


def _quoted(word: str) -> str:
    """A word for kadmin's command line, where a quotation mark is doubled; a line break would start a new command."""
    if "\n" in word:
        raise ValueError(f"a line break in {word!r}")
    return '"' + word.replace('"', '""') + '"'
