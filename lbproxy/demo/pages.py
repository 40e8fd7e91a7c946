"""The connector's pages for people and for identity providers."""

from __future__ import annotations

from html import escape

SIGN_IN = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
<form method="post" action="/wsfed">
<label>User name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button>
</form>
</body>
</html>
"""

_METADATA = """\
<?xml version="1.0" encoding="utf-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{connection}">
<RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706"
 xsi:type="fed:SecurityTokenServiceType"
 protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706">
<fed:PassiveRequestorEndpoint>
<EndpointReference xmlns="http://www.w3.org/2005/08/addressing"><Address>{address}/wsfed</Address></EndpointReference>
</fed:PassiveRequestorEndpoint>
</RoleDescriptor>
</EntityDescriptor>
"""


def federation_metadata(address: str, connector_id: str) -> str:
    """The WS-Federation metadata document of a connector that is reached at `address`, such as https://host:port."""
    return _METADATA.format(connection=escape(f"urn:{connector_id}"), address=escape(address))
