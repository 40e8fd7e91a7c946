"""Extended protection is judged by what both hops really present."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trustme

from lbproxy.balance.member import Member
from lbproxy.config import Config, load
from lbproxy.runtime.channel_binding_check import Finding, judge, keep_judging
from tests.control.probes.backends import behind_proxy_protocol, hanging, listening
from tests.runtime import minting as mints

CONFIG = """
server_url = "https://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.login.tls]
certificate = "c.pem"
key = "k.pem"
{tls}
[pool.connectors]
{pool}
connect_timeout = "{timeout}"
backends = [{{ name = "c1", url = "{scheme}://127.0.0.1:{port}" }}]
"""

CA = trustme.CA()
OURS, THEIRS = CA.issue_cert("login.test"), CA.issue_cert("login.test")


def configuration(
    tmp_path: Path, port: int, scheme: str = "https", timeout: str = "5s", tls: str = "", pool: str = ""
) -> Config:
    """`tls` and `pool` are more keys of those tables."""
    for name, blob in (("c.pem", OURS.cert_chain_pems[0]), ("k.pem", OURS.private_key_pem)):
        blob.write_to_path(tmp_path / name)
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(port=port, scheme=scheme, timeout=timeout, tls=tls, pool=pool))
    return load(path)


def presenting(certificate: trustme.LeafCert) -> AbstractAsyncContextManager[int]:
    """A backend that presents `certificate`: its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return listening(hanging, context)


async def found(tmp_path: Path, certificate: trustme.LeafCert, tls: str = "") -> Finding:
    """The finding for a backend that presents `certificate`."""
    async with presenting(certificate) as port:
        findings = await judge(configuration(tmp_path, port, tls=tls))
    return findings["connectors", "c1"]


async def test_members_that_joined_are_asked_too(tmp_path: Path) -> None:
    config = configuration(tmp_path, 9)
    [pool] = config.pools
    findings = await judge(config, lambda name: [Member("late", "https://127.0.0.1:9"), Member("plain", "http://a:1")])
    assert list(findings) == [(pool, "late")]


async def test_the_same_certificate_on_both_hops_works(tmp_path: Path) -> None:
    assert (await found(tmp_path, OURS)).label == "works"


async def test_another_one_cannot_and_the_two_ways_out_are_named(tmp_path: Path) -> None:
    finding = await found(tmp_path, THEIRS)
    assert finding.label == "cannot"
    assert "same one" in finding.text
    assert "pass TLS through" in finding.text


async def test_a_backend_that_is_down_is_unknown(tmp_path: Path) -> None:
    findings = await judge(configuration(tmp_path, 9))
    assert findings["connectors", "c1"].label == "unknown"


async def test_a_backend_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    async with listening(hanging) as port:
        findings = await judge(configuration(tmp_path, port, timeout="100ms"))
    assert findings["connectors", "c1"].label == "unknown"
    assert "within 0.1 s" in findings["connectors", "c1"].text


async def test_a_backend_that_wants_a_proxy_header_first(tmp_path: Path) -> None:
    async with presenting(OURS) as backend, behind_proxy_protocol(backend) as port:
        findings = await judge(configuration(tmp_path, port, pool='send_proxy_protocol = "v2"'))
    assert findings["connectors", "c1"].label == "works"


async def test_of_several_certificates_users_see_the_one_for_the_host_of_server_url(tmp_path: Path) -> None:
    other = CA.issue_cert("other.test")
    for name, blob in (("o.pem", other.cert_chain_pems[0]), ("o.key", other.private_key_pem)):
        blob.write_to_path(tmp_path / name)
    additional = 'additional = [{ certificate = "o.pem", key = "o.key" }]'
    assert (await found(tmp_path, OURS, additional)).label == "works"
    assert (await found(tmp_path, other, additional)).label == "cannot"


PASSED = """
server_url = "https://login.test"
[listener.passed]
bind = "127.0.0.1:0"
mode = "sni"
sni = { "login.test" = "connectors" }
[pool.connectors]
backends = [{ name = "c1", url = "tcp://127.0.0.1:9" }]
check = { kind = "tls" }
"""


async def test_tls_that_is_passed_through_has_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / "lb.toml").write_text(PASSED)
    assert await judge(load(tmp_path / "lb.toml")) == {}


async def test_a_plain_backend_has_nothing_to_compare(tmp_path: Path) -> None:
    assert await judge(configuration(tmp_path, 9, scheme="http")) == {}


async def test_it_is_told_at_once(tmp_path: Path) -> None:
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(keep_judging(configuration(tmp_path, 9, scheme="http"), told.set_result))
    assert await told == {}
    task.cancel()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
async def test_a_backend_that_asks_for_minted_certificates_shows_its_own(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async with listening(hanging, mints.believing(tmp_path, version=version)) as port:
        findings = await judge(mints.configuration(tmp_path, port))
    assert findings["connectors", "c1"].label != "unknown"
