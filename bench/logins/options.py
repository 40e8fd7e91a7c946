"""Types of the options of `python -m bench.load --url URL`."""

from __future__ import annotations

import json
import re

import click
from yarl import URL

from bench.logins.login import Answer, Reader


class UrlOption(click.ParamType[URL]):
    """An address of a page."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> URL:
        try:
            url = URL(value)
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)
        if url.scheme not in ("http", "https") or not url.host:
            self.fail(f"{value}: not http://HOST... or https://HOST...", param, ctx)
        return url


class StatusesOption(click.ParamType[frozenset[int]]):
    """Statuses and classes of them, with commas: 2xx,401."""

    name = "statuses"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[int]:
        found: set[int] = set()
        for part in value.split(","):
            if not re.fullmatch(r"[1-5]\d\d|[1-5]xx", part.strip()):
                self.fail(f"{part}: not a status such as 302, or a class such as 2xx", param, ctx)
            first = int(part.strip().replace("xx", "00"))
            found.update(range(first, first + 100) if "xx" in part else (first,))
        return frozenset(found)


class ReaderOption(click.ParamType[Reader]):
    """Where an answer has a text: header:NAME, json:KEY, regex:EXPRESSION with one group."""

    name = "where"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Reader:
        kind, _, name = value.partition(":")
        if kind == "header" and name:
            return lambda answer: answer.headers.get(name, "")
        if kind == "json" and name:
            return lambda answer: _member(answer, name)
        if kind == "regex" and name:
            try:
                pattern = re.compile(name)
            except re.error as error:
                self.fail(f"{value}: {error}", param, ctx)
            if pattern.groups == 1:
                return lambda answer: match[1] or "" if (match := pattern.search(answer.body)) else ""
        return self.fail(f"{value}: not header:NAME, json:KEY, or regex:EXPRESSION with one group", param, ctx)


def _member(answer: Answer, key: str) -> str:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return ""
    return str(found.get(key) or "") if isinstance(found, dict) else ""


class PlaceOption(click.ParamType[tuple[str, int | None]]):
    """HOST, HOST:PORT or [ADDRESS]:PORT."""

    name = "host[:port]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int | None]:
        try:
            url = URL(f"http://{value}")
            if url.host and url.authority == value:
                return url.host, url.explicit_port
        except ValueError:
            pass
        return self.fail(f"{value}: not HOST, HOST:PORT or [ADDRESS]:PORT", param, ctx)
