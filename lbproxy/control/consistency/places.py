"""Where in a page a fact is.

A place is a function from a page to the value. It raises Unreadable when there is none, for whatever reason: pages come
from backends, and may hold anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lbproxy.control.consistency.page import Page
from lbproxy.control.consistency.reading import Unreadable

Place = Callable[[Page], str]

_INDEX = re.compile("0|[1-9][0-9]*", re.ASCII)
_SEARCHED = 16 * 1024  # bytes; a search can take the square of that, and users' requests wait for it
_ERRORS = 500  # and above: the page is not what it is when the backend is well


def at_pointer(pointer: str) -> Place:
    """Where the JSON pointer leads (RFC 6901), which has at least one step.

    A string is the value as it is; everything else is JSON, with its keys sorted, so that objects can be compared too.
    """
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]

    def find(page: Page) -> str:
        found = _document(page)
        for step in steps:
            found = _below(found, step, pointer)
        return found if isinstance(found, str) else json.dumps(found, sort_keys=True)

    return find


def by_regex(expression: str) -> Place:
    """What the one group of the regular expression has in its first match, within the first 16 KiB of the page."""
    pattern = re.compile(expression)

    def find(page: Page) -> str:
        match = pattern.search(page.content()[:_SEARCHED].decode("utf-8", "replace"))
        if match is None or match[1] is None:
            raise Unreadable("nothing on the page matches")
        return match[1]

    return find


def in_header(name: str) -> Place:
    """The response header `name`, of any answer but a server's error: redirects and refusals have headers too."""

    def find(page: Page) -> str:
        if page.status >= _ERRORS:
            raise Unreadable(f"the page answers with {page.status}")
        value = page.headers.get(name.lower())
        if value is None:
            raise Unreadable(f"the answer has no {name}")
        return value

    return find


def _document(page: Page) -> object:
    try:
        return json.loads(page.content())
    except (ValueError, RecursionError):  # a ValueError is what is not JSON, or no UTF; or a number of 5,000 digits
        raise Unreadable("the page is not JSON") from None


def _below(value: object, step: str, pointer: str) -> object:
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return value[int(step)]
    raise Unreadable(f"the page has no {pointer}")
