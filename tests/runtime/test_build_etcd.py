from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config import Fleet
from lbproxy.config import fleet as read
from lbproxy.control.etcd import Etcd
from lbproxy.errors import StartError
from lbproxy.runtime.build_etcd import access
from tests.etcd_server import Certificates, node


def _fleet(folder: Path, lines: str) -> Fleet:
    (folder / "lbproxy.toml").write_text(f'[fleet]\nname = "eu"\n{lines}\n')
    return read(folder / "lbproxy.toml", {})


async def test_tls_with_a_certificate_of_our_own(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with node(tmp_path, certificates.options) as one:
        own = certificates.client
        files = f'ca = "{certificates.ca}"\ncertificate = "{own.chain}"\nkey = "{own.key}"'
        etcd = Etcd(access(_fleet(tmp_path, f'etcd = ["{one.url}"]\n{files}')))
        await etcd.put("/a", b"1")
        await etcd.close()


def test_user_and_password(tmp_path: Path) -> None:
    found = access(_fleet(tmp_path, 'etcd = ["http://e:2379"]\nuser = "lb"\npassword = "correct horse"'))
    assert (found.endpoints, found.tls, found.user, found.password) == (("http://e:2379",), None, "lb", "correct horse")
    assert "horse" not in repr(found)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="fleet: its files cannot be used: "):
        access(_fleet(tmp_path, 'etcd = ["https://e:2379"]\nca = "missing.pem"'))
