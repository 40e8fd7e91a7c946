"""docs/connectors/auth0.md: users with certificates, by the two examples that the page names.

The connectors believe certificates. Of the examples only addresses and the folder of the certificates are this test's.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lbproxy import program
from lbproxy.demo.children import Child
from tests.pki import Authority, write_bundle, write_crls
from tests.ports import free_port

NAME = "login.corp.example"
EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
ISSUERS = {"passthrough.toml": "users", "client-certificates-mint.toml": "mint"}
"""Whose certificate of a user the connectors see, by the example."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def write_certificates(folder: Path) -> None:
    """What the examples name, what the connectors have, and the certificates of bob and of eve, which is revoked."""
    root, users, mint = Authority.root("users root"), Authority.root("users"), Authority.root("mint", path_length=0)
    connectors = Authority.root("connectors")
    connectors.write_certificate(folder / "connectors-ca.pem")
    connectors.server(NAME).write(folder, "login")
    users.write_certificate(folder / "users-ca.pem")
    mint.write_certificate(folder / "mint-ca.pem")
    (folder / "mint-ca.key").write_bytes(mint.key_pem)
    write_bundle(folder / "CA_CERT.pem", users, mint)
    eve = users.issue("eve")
    eve.write(folder, "eve")
    users.issue("bob").write(folder, "bob")
    write_crls(folder / "users-root.crl", root.crl())
    write_crls(folder / "users.crl", users.crl(eve))


async def start_connectors(stack: AsyncExitStack, folder: Path) -> list[str]:
    """Their addresses."""
    options = ["--tls-cert", "login.pem", "--tls-key", "login.key", "--client-ca", "CA_CERT.pem"]
    words = [word if word.startswith("--") else str(folder / word) for word in options]
    urls = []
    for name in ("c1", "c2", "c3"):
        child = Child(
            name, program.command("lbproxy.demo.connector", "--name", name, *words), folder / name, "listening: "
        )
        stack.push_async_callback(child.stop)
        urls.append((await child.start()).partition("://")[2])
    return urls


async def start_balancer(stack: AsyncExitStack, folder: Path, text: str, connectors: list[str]) -> int:
    """Its port."""
    port = free_port()
    places = {f"10.0.0.1{number}:4000": address for number, address in enumerate(connectors, 1)}
    for printed, here in {**places, "0.0.0.0:443": f"127.0.0.1:{port}", "/etc/lbproxy/certs/": ""}.items():
        assert printed in text
        text = text.replace(printed, here)
    file = folder / "lbproxy.toml"
    file.write_text(f'{text}\n[admin]\nbind = "unix:admin.sock"\n')
    child = Child("the balancer", program.command("lbproxy", "run", "-c", str(file)), folder / "log", "ready: ")
    stack.push_async_callback(child.stop)
    await child.start()
    return port


def ask(port: int, folder: Path, user: str) -> subprocess.CompletedProcess[str]:
    shown = ["--cert", str(folder / f"{user}.pem"), "--key", str(folder / f"{user}.key")]
    known = ["--cacert", str(folder / "connectors-ca.pem"), "--resolve", f"{NAME}:{port}:127.0.0.1"]
    command = ["curl", "--silent", "--show-error", *known, *shown, f"https://{NAME}:{port}/wsfed"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("example", ISSUERS)
async def test_a_user_with_a_certificate_signs_in_at_each(stack: AsyncExitStack, tmp_path: Path, example: str) -> None:
    write_certificates(tmp_path)
    connectors = await start_connectors(stack, tmp_path)
    text = (EXAMPLES / example).read_text().replace("10.0.0.31:4000", f"127.0.0.1:{free_port()}")
    port = await start_balancer(stack, tmp_path, text, connectors)
    answers = [json.loads(ask(port, tmp_path, "bob").stdout) for _ in range(6)]
    assert {(answer["user"], answer["how"]) for answer in answers} == {("bob", "certificate")}
    assert {answer["certificate_issuer"] for answer in answers} == {ISSUERS[example]}
    assert Counter(answer["instance"] for answer in answers) == {"c1": 2, "c2": 2, "c3": 2}
    if "mint" in example:  # what the connector does not look at
        assert ask(port, tmp_path, "eve").stdout == ""
