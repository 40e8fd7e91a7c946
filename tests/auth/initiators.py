"""Real exchanges: what initiators and acceptors that were written by others send to each other."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
import spnego

from lbproxy.demo.realm import Realm

KERBEROS = "1.2.840.113554.1.2.2"
SPNEGO = "1.3.6.1.5.5.2"


class Legs(NamedTuple):
    """The tokens of one exchange, in the order they were sent."""

    client: list[bytes]
    server: list[bytes]


class Context(Protocol):
    """One end of an exchange: takes the other's token, gives its own."""

    def step(self, token: bytes | None = None, /) -> bytes | None: ...


def exchange(client: Context, server: Context) -> Legs:
    """Step both ends until there is no more to send."""
    legs = Legs([], [])
    token = client.step()
    while token:
        legs.client.append(token)
        token = server.step(token)
        if token:
            legs.server.append(token)
            token = client.step(token)
    return legs


def kerberos_exchanges(realm: Realm, patch: pytest.MonkeyPatch) -> dict[str, Legs]:
    """MIT's initiator and acceptor: "krb5" and "spnego" take two legs, "krb5 dce" and "spnego dce" three."""
    realm.add_user("alice", "secret")
    keytab = realm.add_service("HTTP/login.corp.example")
    environment = realm.kinit("alice") | {"KRB5_KTNAME": str(keytab), "KRB5RCACHENAME": "none:"}
    for name, value in environment.items():
        patch.setenv(name, value)
    import gssapi  # not before a test that needs it runs: it is the extra lbproxy[kerberos]

    mutual, dce = gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.dce_style
    service = gssapi.Name("HTTP@login.corp.example", gssapi.NameType.hostbased_service)
    found = {}
    for name, mechanism, flags in (
        ("krb5", KERBEROS, mutual),
        ("spnego", SPNEGO, mutual),
        ("krb5 dce", KERBEROS, dce),
        ("spnego dce", SPNEGO, dce),
    ):
        mech = gssapi.OID.from_int_seq(mechanism)
        client = gssapi.SecurityContext(name=service, mech=mech, usage="initiate", flags=flags)
        found[name] = exchange(client, gssapi.SecurityContext(usage="accept"))
    return found


def ntlm_exchanges(directory: Path, patch: pytest.MonkeyPatch) -> dict[str, Legs]:
    """pyspnego's NTLM: "ntlm" bare, "negotiate" inside SPNEGO."""
    users = directory / "users"
    users.write_text("CORP:alice:secret\n")
    patch.setenv("NTLM_USER_FILE", str(users))
    patch.setenv("KRB5_CONFIG", "/dev/null")  # pyspnego tries Kerberos first
    found = {}
    for protocol in ("ntlm", "negotiate"):
        client = spnego.client("CORP\\alice", "secret", "login.corp.example", "HTTP", protocol=protocol)
        found[protocol] = exchange(client, spnego.server("login.corp.example", "HTTP", protocol=protocol))
    return found
