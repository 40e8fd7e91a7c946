from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from lbproxy.control.admin import body, web


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    weight: int = 1


def asked(content: bytes) -> web.Request:
    return web.Request("PUT", "/x", body=content)


def test_a_body_is_read() -> None:
    assert body.read(asked(b'{"name": "c1"}'), Wanted) == Wanted(name="c1")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", ["the body: Invalid JSON: EOF while parsing a value at line 1 column 0"]),
        (b"{}", ["name: Field required"]),
        (
            b'{"name": "c1", "weight": "x", "more": 1}',
            [
                "weight: Input should be a valid integer, unable to parse string as an integer",
                "more: Extra inputs are not permitted",
            ],
        ),
    ],
)
def test_each_thing_that_is_wrong_has_a_line(content: bytes, lines: list[str]) -> None:
    with pytest.raises(web.Refusal) as refused:
        body.read(asked(content), Wanted)
    assert refused.value.response.status == 400
    assert refused.value.response.body.decode().splitlines() == lines
