from __future__ import annotations

import pytest

from lbproxy.doctor.connector.sight import Settings
from lbproxy.doctor.finding import UnseenError
from tests.doctor.connector.conftest import Looking
from tests.instance.connector import Connector


async def test_settings_are_what_the_connector_goes_by(look: Looking) -> None:
    found = await look(WITH_KERBEROS_PROXY_FRONTEND=True).settings()
    assert (found.port, found.text("REALM"), found.text("NO_SUCH")) == (4000, "urn:auth0:corp", "")
    assert found.believes_headers
    assert not (await look(WITH_KERBEROS_PROXY_FRONTEND=None).settings()).believes_headers


@pytest.mark.parametrize("content", ["{", "[]", "null", '"x"', "\0", "[" * 100_000, '{"PORT":'])
async def test_a_config_that_is_no_json_is_not_seen(look: Looking, connector: Connector, content: str) -> None:
    sight = look()
    (connector.directory / "config.json").write_text(content)
    with pytest.raises(UnseenError, match="settings of the connector cannot be read"):
        await sight.settings()


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "", None, [4000]])
def test_a_port_that_is_none(port: object) -> None:
    with pytest.raises(UnseenError, match="PORT is no port"):
        _ = Settings({"PORT": port}, []).port
