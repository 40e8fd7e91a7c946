from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lbproxy.config import Address
from lbproxy.config.models import Base, values


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value, context=Base(Path("/etc/lbproxy")))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (values.Name, "c1", "c1"),
        (values.Name, "0" * 63, "0" * 63),
        (values.File, "certs/a.pem", Path("/etc/lbproxy/certs/a.pem")),
        (values.File, "../a.pem", Path("/etc/lbproxy/../a.pem")),
        (values.Bind, "unix:a.sock", Address(path=Path("/etc/lbproxy/a.sock"))),
        (values.Host, "Login.corp.example", "login.corp.example"),
        (values.Count, 1, 1),
        (values.Token, "X-Version", "X-Version"),
        (values.Target, "/a?b=c", "/a?b=c"),
        (values.PageUrl, "https://{host}:8443/a?b", "https://{host}:8443/a?b"),
    ],
)
def test_values(kind: Any, value: object, expected: object) -> None:
    assert read(kind, value) == expected


NO_URL = "is not a URL that begins with http:// or https:// and names a host"
PLACEHOLDER = "may hold {host} in place of the host, and no other braces"


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (values.Name, "", "'' is not a name: a letter or digit, and up to 62 more, '-', '_' and '.'"),
        (values.Name, "-a", "'-a' is not a name: a letter or digit, and up to 62 more, '-', '_' and '.'"),
        (values.File, "", "must be the path of a file"),
        (values.File, "a\0b", "must be the path of a file"),
        (values.File, 1, "must be the path of a file"),
        (values.Count, 0, "Input should be greater than or equal to 1"),
        (values.Token, "GET /", "'GET /' is not an HTTP token (RFC 9110 section 5.6.2)"),
        (values.Target, "healthz", "'healthz' is not a path that begins with /"),
        (values.Target, "/a#b", "'/a#b' is not a path that begins with /"),
        (values.PageUrl, "/healthz", f"'/healthz' {NO_URL}"),
        (values.PageUrl, "http://a/{host}", f"'http://a/{{host}}' {PLACEHOLDER}"),
        (values.PageUrl, "http://{name}/", f"'http://{{name}}/' {PLACEHOLDER}"),
        (values.PageUrl, "http://a/#b", "'http://a/#b' must not hold a fragment (#)"),
    ],
)
def test_impossible_values(kind: Any, value: object, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    assert caught.value.errors()[0]["msg"].removeprefix("Value error, ") == problem


def test_no_entries() -> None:
    assert values.not_empty((1,)) == (1,)
    with pytest.raises(ValueError, match=r"^needs at least one entry$"):
        values.not_empty(())
