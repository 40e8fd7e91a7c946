from __future__ import annotations

from xml.etree import ElementTree

from lbproxy.demo.pages import SIGN_IN, federation_metadata

ADDRESS = "{http://www.w3.org/2005/08/addressing}Address"


def test_the_metadata_has_the_absolute_address() -> None:
    document = ElementTree.fromstring(federation_metadata("https://login.corp.example", "demo").encode())
    assert [node.text for node in document.iter(ADDRESS)] == ["https://login.corp.example/wsfed"]
    assert document.get("entityID") == "urn:demo"


def test_no_host_header_can_break_the_document() -> None:
    document = ElementTree.fromstring(federation_metadata('https://"><x>&', '"<demo>').encode())
    assert [node.text for node in document.iter(ADDRESS)] == ['https://"><x>&/wsfed']


def test_the_form_posts_to_the_sign_in_page() -> None:
    assert '<form method="post" action="/wsfed">' in SIGN_IN
