"""A real Active Directory: Samba as the domain controller of CORP.EXAMPLE, at an address of 127.0.0.0/8 of its own.

    with domain() as corp:                                       # it serves Kerberos and LDAP; six seconds
        corp.add("svc-login", spns=["HTTP/login.test"])
        corp.set("svc-login", "msDS-SupportedEncryptionTypes", 4)
        keytab = corp.keytab("HTTP/login.test")
        environment = corp.kinit("alice")

`alice`, `bob` and `carol` are there, in `GROUPS` groups of their domain. Domains may run side by side. The controllers
end with the test's process, whatever happens: they watch the pipe that is their standard input.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from lbproxy.demo.realm import krb5_conf

GROUPS = {"alice": 3, "bob": 400, "carol": 1000}
"""How many groups each of these users is in, beside Domain Users."""

REALM, WORKGROUP = "CORP.EXAMPLE", "CORP"
BASE = "DC=corp,DC=example"
LOCKED_AFTER = 3
"""Wrong passwords in a row; then an account is locked for half an hour."""

AES, RC4 = 0x18, 0x04
"""For msDS-SupportedEncryptionTypes (MS-KILE section 2.2.7): both sizes of AES, or RC4 and nothing else."""

ENABLED, DISABLED, FOREVER = 0x200, 0x2, 0x10000
"""For userAccountControl (MS-ADTS section 2.2.16): an ordinary account, one that is disabled, a password for ever."""

full_run = pytest.mark.skipif(
    not os.environ.get("LBPROXY_FULL"), reason="Samba and Firefox are installed for LBPROXY_FULL=1 only"
)
needs_domain = [full_run, pytest.mark.skipif(os.geteuid() != 0, reason="a domain controller needs root")]
"""The marks of a test that starts one."""

_READY_WITHIN = 60.0  # seconds, on a machine with much else to do
_numbers = itertools.count()
_addresses = itertools.count(64 * os.getpid())

_SMB_CONF = """\
[global]
    netbios name = {host}
    workgroup = {workgroup}
    realm = {realm}
    server role = active directory domain controller
    server services = {services}
    interfaces = {address}/8
    bind interfaces only = yes
    disable netbios = yes
    private dir = {shared}/private
    state directory = {shared}/state
    cache directory = {own}/cache
    lock directory = {own}/lock
    pid directory = {own}/run
    ncalrpc dir = {own}/ncalrpc
    winbindd socket directory = {own}/winbindd
    ntp signd socket directory = {own}/ntp
    binddns dir = {own}/dns
    log file = {own}/log
    prefork children = 1
    ldap server require strong auth = no
    tls enabled = no
    ldb:nosync = true
[sysvol]
    path = {shared}/state/sysvol
    read only = no
[netlogon]
    path = {shared}/state/sysvol/scripts
    read only = no
"""


class Controller:
    """Processes of Samba that serve what is in `shared`, at an address of their own."""

    def __init__(self, shared: Path, name: str, services: str) -> None:
        self.name = name
        self.address = _own_address()
        self.folder = shared / name
        self.winbind = self.folder / "winbindd"
        self.configuration = self.folder / "smb.conf"
        (self.folder / "run").mkdir(parents=True)
        self.configuration.write_text(
            _SMB_CONF.format(
                host=name.upper(),
                workgroup=WORKGROUP,
                realm=REALM,
                services=services,
                address=self.address,
                shared=shared,
                own=self.folder,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<domain controller {self.name} at {self.address}>"

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; its KDC answers when this returns."""
        log = self.folder / "output"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["/usr/sbin/samba", "--interactive", "--debug-stdout", f"--configfile={self.configuration}"],
                env=os.environ | dict(environment or {}),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        deadline = time.monotonic() + _READY_WITHIN
        while not _accepts(self.address, 88):
            assert self._process.poll() is None, f"it ended: {log.read_text()}"
            assert time.monotonic() < deadline, f"it does not listen: {log.read_text()}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send it to all processes but winbindd's, which has a group of its own."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """End it and all its processes; harmless when it does not run."""
        if self._process is None:
            return
        with self._process as process:
            process.terminate()
        self._process = None
        deadline = time.monotonic() + _READY_WITHIN
        while _accepts(self.address, 88):
            assert time.monotonic() < deadline, f"{self!r} goes on"
            time.sleep(0.02)


class Domain:
    """The directory, and its first controller. Names of accounts are those before the @, as `alice`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = Controller(folder, "dc1", "rpc, ldap, cldap, kdc, winbindd")
        self.passwords: dict[str, str] = {}
        self.configuration = self.krb5_conf()

    @property
    def winbind_privileged(self) -> Path:
        """The folder of the socket that checks passwords; its group may use it."""
        return self.folder / "state" / "winbindd_privileged"

    def provision(self) -> None:
        """Make the directory, in an empty folder, with the users of GROUPS."""
        _run(
            *("samba-tool", "domain", "provision", f"--configfile={self.first.configuration}"),
            *(f"--realm={REALM}", f"--domain={WORKGROUP}", "--server-role=dc", "--adminpass=Adm1n's secret"),
            *("--dns-backend=NONE", f"--host-ip={self.first.address}"),
        )
        self._ldb("ldbmodify", f"dn: {BASE}\nchangetype: modify\nreplace: lockoutThreshold\n"
                               f"lockoutThreshold: {LOCKED_AFTER}\n")  # fmt: skip
        for name in GROUPS:
            self.add(name)
        self._ldb("ldbadd", "\n".join(_group(number) for number in range(max(GROUPS.values()))))

    def add(self, name: str, spns: Iterable[str] = (), enctypes: int = AES) -> str:
        """An account whose password never expires; its principal, as in alice@CORP.EXAMPLE."""
        self.passwords[name] = f"{name}'s Secret 1"
        lines = [
            f"dn: {_dn(name)}",
            "objectClass: user",
            f"sAMAccountName: {name}",
            f"userPrincipalName: {name}@{REALM.lower()}",
            _line("unicodePwd", _password(self.passwords[name])),
            f"userAccountControl: {ENABLED | FOREVER}",
            f"msDS-SupportedEncryptionTypes: {enctypes}",
            *(f"servicePrincipalName: {spn}" for spn in spns),
        ]
        self._ldb("ldbadd", "\n".join(lines) + "\n")
        return f"{name}@{REALM}"

    def set(self, name: str, attribute: str, *values: object, by_force: bool = False) -> None:
        """Replace what an account has of `attribute`; without values it loses that.

        by_force: past the rules of the directory, as the replication from another controller is.
        """
        lines = [f"dn: {_dn(name)}", "changetype: modify", f"replace: {attribute}"]
        self._ldb("ldbmodify", "\n".join([*lines, *(_line(attribute, value) for value in values)]) + "\n", by_force)

    def set_password(self, name: str, password: str) -> None:
        """As an administrator sets it: the account has new keys, with the next kvno."""
        self.passwords[name] = password
        self.set(name, "unicodePwd", _password(password))

    def serve_ldap_as(self, name: str) -> None:
        """The first controller takes tickets for ldap/NAME, beside those of its own name, which no test can resolve."""
        controller = f"CN={self.first.name.upper()},OU=Domain Controllers,{BASE}"
        lines = [f"dn: {controller}", "changetype: modify", "add: servicePrincipalName"]
        self._ldb("ldbmodify", "\n".join([*lines, f"servicePrincipalName: ldap/{name}"]) + "\n")

    def keytab(self, principal: str) -> Path:
        """A new file with the keys that an account has now, by its name or one of its SPNs."""
        path = self.folder / f"{next(_numbers)}.keytab"
        options = [f"--principal={principal}", f"--configfile={self.first.configuration}"]
        _run("samba-tool", "domain", "exportkeytab", str(path), *options)
        return path

    def krb5_conf(self, *addresses: str, **libdefaults: str) -> Path:
        """A new krb5.conf with the KDCs at `addresses`, by default the first controller's."""
        path = self.folder / f"{next(_numbers)}.krb5.conf"
        path.write_text(krb5_conf(REALM, *(addresses or [self.first.address]), **libdefaults))
        return path

    def kinit(self, name: str) -> dict[str, str]:
        """Sign an account in with its password; the environment in which its ticket is found."""
        environment = {
            "KRB5_CONFIG": str(self.configuration),
            "KRB5CCNAME": f"FILE:{self.folder}/{next(_numbers)}.ccache",
        }
        _run("kinit", f"{name}@{REALM}", typed=self.passwords[name] + "\n", environment=environment)
        return environment

    def kinit_fails(self, name: str, password: str) -> str:
        """Try a wrong password; what kinit says."""
        environment = {"KRB5_CONFIG": str(self.configuration), "KRB5CCNAME": "MEMORY:"}
        with pytest.raises(AssertionError) as refused:
            _run("kinit", f"{name}@{REALM}", typed=password + "\n", environment=environment)
        return str(refused.value)

    @contextmanager
    def another_kdc(self, environment: Mapping[str, str] | None = None) -> Iterator[Controller]:
        """A second controller with the same accounts, under another clock perhaps, that is a KDC and nothing else."""
        controller = Controller(self.folder, f"kdc{next(_numbers)}", "kdc")
        try:
            controller.start(environment)
            yield controller
        finally:
            controller.stop()

    def _ldb(self, program: str, ldif: str, by_force: bool = False) -> None:
        database = self.folder / "private" / "sam.ldb"
        if by_force:  # one of the files that it is made of, which no module watches
            database = database.with_name("sam.ldb.d") / f"{BASE.upper()}.ldb"
        _run(program, f"--url=tdb://{database}", f"--configfile={self.first.configuration}", typed=ldif)


@contextmanager
def domain() -> Iterator[Domain]:
    """One that runs; its files go with it. Fails where Samba is not installed."""
    missing = [program for program in ("samba", "samba-tool", "ldbadd", "winbindd") if not _program(program)]
    assert not missing, f"{', '.join(missing)} missing: LBPROXY_FULL=1 make test installs them"
    with ExitStack() as stack:
        # Its path is short: there are Unix sockets below it. Others than root go to that of winbindd.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbp-ad-")))
        folder.chmod(0o755)
        corp = Domain(folder)
        corp.provision()
        stack.callback(corp.first.stop)
        corp.first.start()
        yield corp


def _own_address() -> str:
    """One of 127.0.0.0/8 that no other test uses: Samba has the ports that clients expect, which are below 1024."""
    number = next(_addresses)
    return f"127.{1 + (number >> 16) % 250}.{number >> 8 & 255}.{number & 255}"


def _dn(name: str) -> str:
    return f"CN={name},CN=Users,{BASE}"


def _group(number: int) -> str:
    members = [f"member: {_dn(user)}" for user, groups in GROUPS.items() if number < groups]
    lines = [f"dn: CN=group-{number:04},CN=Users,{BASE}", "objectClass: group", f"sAMAccountName: group-{number:04}"]
    return "\n".join([*lines, *members]) + "\n"


def _line(attribute: str, value: object) -> str:
    """Of LDIF (RFC 2849)."""
    return f"{attribute}:: {base64.b64encode(value).decode()}" if isinstance(value, bytes) else f"{attribute}: {value}"


def _password(text: str) -> bytes:
    """As the attribute unicodePwd has it (MS-ADTS section 3.1.1.3.1.5)."""
    return f'"{text}"'.encode("utf-16-le")


def _accepts(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=1.0):
        return True
    return False


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _run(name: str, *arguments: str, typed: str = "", environment: Mapping[str, str] | None = None) -> None:
    program = _program(name)
    assert program, f"{name} is missing"
    done = subprocess.run(
        [program, *arguments],
        input=typed,
        env=os.environ | dict(environment or {}) | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stderr}{done.stdout}"
