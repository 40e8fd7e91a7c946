"""Fixtures: `kerberos` and `ntlm`, the legs of real exchanges by name; their KDC runs only while they are made."""

from __future__ import annotations

import pytest

from lbproxy.demo.realm import Realm
from lbproxy.errors import StartError
from tests.auth.initiators import Legs, kerberos_exchanges, ntlm_exchanges


@pytest.fixture(scope="session")
def kerberos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Legs]:
    pytest.importorskip("gssapi", reason="needs the extra lbproxy[kerberos]")
    try:
        realm = Realm(tmp_path_factory.mktemp("realm"))
    except StartError as error:
        pytest.skip(str(error))
    with realm, pytest.MonkeyPatch.context() as patch:
        return kerberos_exchanges(realm, patch)


@pytest.fixture(scope="session")
def ntlm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Legs]:
    with pytest.MonkeyPatch.context() as patch:
        return ntlm_exchanges(tmp_path_factory.mktemp("ntlm"), patch)
