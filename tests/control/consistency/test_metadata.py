from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.consistency.metadata import published_address
from lbproxy.control.consistency.page import Page
from lbproxy.control.consistency.reading import Unreadable
from lbproxy.demo.pages import federation_metadata

ADDRESS = "https://login.corp.example"

# In the manner of an Auth0 connector, which names a certificate and an address that is not its own before that.
OTHER_ADDRESSES = """\
<EntityDescriptor entityID="urn:corp" xmlns="urn:oasis:names:tc:SAML:2.0:metadata">
  <RoleDescriptor xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706">
    <fed:SecurityTokenServiceEndpoint>
      <EndpointReference xmlns="http://www.w3.org/2005/08/addressing"><Address>https://other</Address></EndpointReference>
    </fed:SecurityTokenServiceEndpoint>
    <fed:PassiveRequestorEndpoint>
      <EndpointReference xmlns="http://www.w3.org/2005/08/addressing">
        <Address>
          https://login.corp.example:8443/wsfed
        </Address>
      </EndpointReference>
    </fed:PassiveRequestorEndpoint>
  </RoleDescriptor>
</EntityDescriptor>
"""


def published(document: bytes | str) -> str:
    return published_address(Page(200, {}, document.encode() if isinstance(document, str) else document))


def trouble(document: bytes | str) -> str:
    with pytest.raises(Unreadable) as raised:
        published(document)
    return str(raised.value)


def test_the_address_is_that_of_the_connector_without_its_page() -> None:
    assert published(federation_metadata(ADDRESS, "corp")) == ADDRESS
    assert published(federation_metadata(ADDRESS, "corp").replace("utf-8", "utf-16").encode("utf-16")) == ADDRESS


def test_the_address_for_browsers_not_another() -> None:
    assert published(OTHER_ADDRESSES) == "https://login.corp.example:8443"


def test_another_page_at_that_address_is_seen() -> None:
    assert published(federation_metadata(ADDRESS, "corp").replace("/wsfed<", "/elsewhere<")) == f"{ADDRESS}/elsewhere"


@pytest.mark.parametrize(
    "document", ["<a/>", OTHER_ADDRESSES.replace("Passive", "Active"), "<a>" * 9000 + "</a>" * 9000]
)
def test_no_address(document: str) -> None:
    assert trouble(document) == "the page publishes no address for signing in"


@pytest.mark.parametrize(
    "document",
    [
        "",
        "not XML",
        '{"address": "x"}',
        "<a>",
        "<a>" * 9000,
        "<a>&amp</a>",
        "<a>&unknown;</a>",
        "<a>&#0;</a>",
        '<?xml version="1.0" encoding="klingon"?><a/>',
        '<?xml version="1.0" encoding="shift_jis"?><a/>',
        b"<a>\xff</a>",
    ],
)
def test_what_is_not_xml(document: bytes | str) -> None:
    assert trouble(document) == "the page is not XML"


@pytest.mark.parametrize(
    "declaration",
    [
        '[<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]',  # a billion of them, in the end
        '[<!ENTITY c SYSTEM "file:///etc/passwd">]',
        '[<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]',
        'SYSTEM "http://127.0.0.1:1/x"',
        "",
    ],
)
def test_a_document_type_is_refused_before_it_can_do_anything(declaration: str) -> None:
    document = f"<!DOCTYPE x {declaration}><x>&c;</x>"
    assert trouble(document) == "the page has a document type, which metadata has no use for"


@given(st.lists(st.sampled_from(["<a>", "</a>", "<!--", "-->", "<!DOCTYPE a [", "]>", "<![CDATA[", "&x;", "é", "\0"])))
def test_no_page_is_too_strange(pieces: list[str]) -> None:
    assert trouble("".join(pieces))
