"""An entry of a pool's `backends`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StrictBool, StrictInt

from lbproxy.config import addresses
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Name, PageUrl


def _backend_url(value: object) -> str:
    url = addresses.origin(value, ("http", "https", "tcp"))
    if urlsplit(url).scheme == "tcp" and urlsplit(url).port is None:
        raise ValueError(f"{url!r} needs a port; tcp:// has none of its own")
    return url


class Backend(Table):
    """One connector instance: `url` is scheme://host[:port] as written; `check_url` overrides the pool's check.url.

    `weight`: its part of the turns; 0 is no turn. `standby`: it gets work while fewer than `standby_below` others can.
    `expand`: every address of the host in `url` is a backend.
    """

    name: Name
    url: Annotated[str, BeforeValidator(_backend_url)]
    check_url: PageUrl | None = None
    weight: Annotated[StrictInt, Field(ge=0, le=100)] = 1
    standby: StrictBool = False
    expand: StrictBool = False

    @property
    def scheme(self) -> str:
        """http, https or tcp."""
        return urlsplit(self.url).scheme

    def page(self, url: str | None, path: str) -> str:
        """The absolute URL of a page: `url` with its {host} filled in or, when there is none, `path` at this backend.

        The latter needs an http or https backend.
        """
        return (url or self.url + path).replace("{host}", addresses.url_host(urlsplit(self.url)), 1)
