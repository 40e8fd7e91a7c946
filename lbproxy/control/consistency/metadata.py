"""The address that a federation metadata document publishes (WS-Federation 1.2 section 3.1).

    <fed:PassiveRequestorEndpoint>
      <wsa:EndpointReference><wsa:Address>https://login.corp.example/wsfed</wsa:Address></wsa:EndpointReference>
    </fed:PassiveRequestorEndpoint>

The document is a backend's, so nothing in it is expanded or fetched: one with a document type, which is where entities
come from, is refused. What is left takes time and memory in proportion to its length, and `Page` limits that.
"""

from __future__ import annotations

from xml.etree import ElementTree

from lbproxy.control.consistency.page import Page
from lbproxy.control.consistency.reading import Unreadable

_ENDPOINT = "{http://docs.oasis-open.org/wsfed/federation/200706}PassiveRequestorEndpoint"
_ADDRESS = "{http://www.w3.org/2005/08/addressing}Address"

_SIGN_IN = "/wsfed"
"""The path of the sign-in page at the connector's own address."""


def published_address(page: Page) -> str:
    """The address of the connector, as in https://login.corp.example; see `places` for what a place is."""
    text = _address(page.content()).strip()
    return text.removesuffix(_SIGN_IN) or text


def _address(document: bytes) -> str:
    try:
        root = ElementTree.fromstring(document, ElementTree.XMLParser(target=_Builder()))
    except (ElementTree.ParseError, LookupError, ValueError):  # not well-formed, or in an unknown coding
        raise Unreadable("the page is not XML") from None
    for endpoint in root.iter(_ENDPOINT):
        for address in endpoint.iter(_ADDRESS):
            return address.text or ""
    raise Unreadable("the page publishes no address for signing in")


class _Builder(ElementTree.TreeBuilder):
    """What ElementTree makes its tree with, and tells of a document type as soon as its name has been read."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Unreadable("the page has a document type, which metadata has no use for")
