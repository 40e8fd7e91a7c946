"""A real directory: Debian's slapd with the attributes of Active Directory that doctor reads.

with running(directory, authority) as one:
    one.url, one.secret_url    # ldap://localhost:..., ldaps://localhost:...

A user svc-auth0 has a password; with a keytab of ldap/localhost in the environment, GSSAPI signs in too.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.pki import Authority
from tests.ports import free_port

BASE = "DC=corp,DC=example"
USER = f"CN=svc-auth0,{BASE}"
PASSWORD = "the password of the LDAP account"

_STRING, _INTEGER, _NAME = (f"1.3.6.1.4.1.1466.115.121.1.{number}" for number in (15, 27, 12))
_ATTRIBUTES = {
    "sAMAccountName": (_STRING, "caseIgnoreMatch"),
    "userPrincipalName": (_STRING, "caseIgnoreMatch"),
    "servicePrincipalName": (_STRING, "caseIgnoreMatch"),
    "objectCategory": (_STRING, "caseIgnoreMatch"),
    "userAccountControl": (_INTEGER, "integerMatch"),
    "lockoutTime": (_STRING, "caseIgnoreMatch"),
    "accountExpires": (_STRING, "caseIgnoreMatch"),
    "pwdLastSet": (_STRING, "caseIgnoreMatch"),
    "msDS-SupportedEncryptionTypes": (_INTEGER, "integerMatch"),
    "msDS-KeyVersionNumber": (_INTEGER, "integerMatch"),
    "msDS-UserPasswordExpiryTimeComputed": (_STRING, "caseIgnoreMatch"),
    "tokenGroups": (_STRING, "caseIgnoreMatch"),
    "memberOf": (_NAME, "distinguishedNameMatch"),
}

_CONF = """\
include /etc/ldap/schema/core.schema
{schema}
pidfile {directory}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {directory}/ldap.pem
TLSCertificateKeyFile {directory}/ldap.key
sasl-host localhost
sasl-secprops noanonymous,minssf=0
authz-regexp "uid=[^,]*,.*cn=gssapi,cn=auth" "{user}"
database mdb
suffix "{base}"
directory {directory}/data
access to attrs=userPassword by anonymous auth
access to * by users read
"""

_LDIF = f"""\
dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: corp
o: corp

dn: {USER}
objectClass: person
objectClass: adUser
cn: svc-auth0
sn: svc-auth0
sAMAccountName: svc-auth0
objectCategory: person
userPassword: {PASSWORD}

"""


@dataclass(frozen=True)
class Directory:
    """One that runs: on one port plain, on the other over TLS."""

    port: int
    secret_port: int

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def secret_url(self) -> str:
        """OpenLDAP looks for the host's own name in the certificate of "localhost"."""
        return f"ldaps://127.0.0.1:{self.secret_port}"


def _schema() -> str:
    lines = []
    for number, (name, (syntax, rule)) in enumerate(_ATTRIBUTES.items(), 1):
        lines.append(f"attributetype ( 1.3.6.1.4.1.99999.1.{number} NAME '{name}' EQUALITY {rule} SYNTAX {syntax} )")
    may = " $ ".join(_ATTRIBUTES)
    return "\n".join([*lines, f"objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'adUser' SUP top AUXILIARY MAY ( {may} ) )"])


def _wait_for(process: subprocess.Popen[str], port: int) -> None:
    """It listens after it has said "slapd starting", and says nothing then."""
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None, "it ended"
        time.sleep(0.01)


@contextmanager
def running(
    directory: Path, authority: Authority, entries: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Directory]:
    """entries: more of them, as LDIF."""
    (directory / "data").mkdir(parents=True)
    authority.server("localhost", "127.0.0.1").write(directory, "ldap")
    conf = directory / "slapd.conf"
    conf.write_text(_CONF.format(directory=directory, base=BASE, user=USER, schema=_schema()))
    subprocess.run(["/usr/sbin/slapadd", "-f", conf], input=_LDIF + entries, text=True, check=True, capture_output=True)
    found = Directory(free_port(), free_port())
    urls = f"ldap://127.0.0.1:{found.port} ldaps://127.0.0.1:{found.secret_port}"
    process = subprocess.Popen(
        ["/usr/sbin/slapd", "-d", "none", "-f", conf, "-h", urls],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(environment or {}),
    )
    with process:
        try:
            assert process.stderr is not None
            said = ""
            while "slapd starting" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            _wait_for(process, found.port)
            _wait_for(process, found.secret_port)
            yield found
        finally:
            process.terminate()


def user(name: str, groups: int = 0, **attributes: object) -> str:
    """An entry as LDIF; in the names of attributes, _ is -."""
    lines = [
        f"dn: CN={name},{BASE}",
        *("objectClass: person", "objectClass: adUser", f"cn: {name}", f"sn: {name}"),
        *(f"sAMAccountName: {name}", "objectCategory: person"),
        *(f"memberOf: CN=group-{number},{BASE}" for number in range(groups)),
        *(f"{key.replace('_', '-')}: {value}" for key, value in attributes.items()),
    ]
    return "\n".join(lines) + "\n\n"
