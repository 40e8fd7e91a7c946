"""haproxy.cfg, by its configuration manual (2.6): sections, keywords, and what of them lbproxy has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lbproxy.migrate.migration import Backend, Listener, Migration, Pool, Value, name_of, whole_number

_STICKY = "no sticky sessions: every request goes to the next instance, so all must have the same configuration"
_NO_ROUTING = "no routing by content: one listener has one pool"
_WHY = {
    "cookie": _STICKY,
    "stick": _STICKY,
    "stick-table": _STICKY,
    "http-reuse": "connections that carry a sign-in are private to their client, always",
    "retries": "a request that no backend has seen goes to the next one; see retry_budget and retry_statuses",
    "acl": _NO_ROUTING,
    "use_backend": _NO_ROUTING,
    "http-request": "no rewriting; X-Forwarded-* is set anew, and identity headers of clients are removed",
    "http-response": "no rewriting",
    "log": "the access log is JSON on standard output; see [access_log]",
    "stats": "see `lbproxy status` and admin.metrics",
    "errorfile": "error pages are lbproxy's own",
    "compression": "no compression",
}
_NEED_NOTHING = frozenset({
    "http-server-close", "httpclose", "http-keep-alive", "forwardfor", "redispatch", "dontlognull", "httplog",
    "tcplog", "tcpka", "log-health-checks", "user", "group", "daemon", "chroot", "pidfile", "nbproc", "nbthread",
    "cpu-map", "ulimit-n", "description", "tcp-check", "ssl-hello-chk",
})  # fmt: skip
"""Options and keywords that lbproxy does anyway, or leaves to the service manager."""

_SECTIONS = frozenset({
    "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "program",
    "cache", "http-errors", "ring", "log-forward", "log-profile", "fcgi-app", "crt-store", "traces", "acme",
})  # fmt: skip
"""The keywords that begin one; what is indented, and what is not, means nothing to HAProxy."""

_BIND_VALUES = frozenset({
    "crt", "verify", "ca-file", "crl-file", "ssl-min-ver", "alpn", "name", "id", "process", "thread", "shards",
    "ciphers", "ciphersuites", "curves",
})  # fmt: skip
_SERVER_VALUES = frozenset(
    {"weight", "inter", "rise", "fall", "verify", "ca-file", "sni", "crt", "cookie", "maxconn", "id", "proto"}
)
"""Options of `bind` and `server` that a value follows."""

_BIND_NEEDS_NOTHING = frozenset({
    "ssl", "name", "id", "process", "thread", "shards", "ciphers", "ciphersuites", "curves", "no-sslv3", "no-tlsv10",
    "no-tlsv11",
})  # fmt: skip
_SERVER_NEEDS_NOTHING = frozenset({"check", "enabled", "id"})

_FRONT_TIMEOUTS = {"http-request": "header_timeout", "client": "idle_timeout"}
_BACK_TIMEOUTS = {"connect": "connect_timeout", "server": "response_timeout"}
_ALL_TIMEOUTS = {*_FRONT_TIMEOUTS, *_BACK_TIMEOUTS, "http-keep-alive"}

_SNI = re.compile(r"req(?:_ssl_sni|\.ssl_sni|_ssl\.sni)$")


class _Line(NamedTuple):
    """A line's number in the file and its words."""

    number: int
    words: list[str]


def _options(words: Sequence[str], valued: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each option with the value that follows it, "" for one that is not `valued`."""
    rest = iter(words)
    for word in rest:
        yield word, next(rest, "") if word in valued else ""


@dataclass(slots=True)
class _Section:
    """`defaults`: the name of the section that it says to go by."""

    kind: str
    name: str
    defaults: str = ""
    lines: list[_Line] = field(default_factory=list)


def read(text: str, source: str) -> Migration:
    """A draft from the text of haproxy.cfg. Nothing is refused: what is not understood becomes a note."""
    migration = Migration(source)
    inherited: dict[str, list[_Line]] = {"": []}
    for section in _sections(text, migration):
        before = inherited.get(section.defaults, inherited[""])
        if section.kind == "defaults":
            before = before if section.defaults else []
            inherited[""] = inherited[section.name] = [*before, *section.lines]
        elif section.kind in ("frontend", "backend", "listen"):
            _read_proxy(migration, section, [*before, *section.lines])
        else:
            for line in section.lines:
                _note(migration, line, f"{section.kind}: " if section.kind else "")
    for pool in migration.pools.values():
        if pool.scheme == "tcp":
            pool.keys.pop("response_timeout", None)
    return migration


def _sections(text: str, migration: Migration) -> Iterator[_Section]:
    section = _Section("", "")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            migration.note(number, line.strip(), f"not understood: {error}")
            continue
        if not words:
            continue
        if words[0] not in _SECTIONS:
            section.lines.append(_Line(number, words))
            continue
        yield section
        section = _Section(words[0], words[1] if len(words) > 1 else "", words[3] if words[2:3] == ["from"] else "")
    yield section


def _read_proxy(migration: Migration, section: _Section, lines: list[_Line]) -> None:
    passes = any(line.words[:2] == ["mode", "tcp"] for line in lines) and not _own_http(section)
    if section.kind in ("frontend", "listen"):
        _read_front(migration, section, lines, passes)
    if section.kind in ("backend", "listen"):
        _read_back(migration, section, lines, passes)


def _own_http(section: _Section) -> bool:
    return any(line.words[:2] == ["mode", "http"] for line in section.lines)


_OF_BACKENDS = frozenset(
    {"server", "balance", "default-server", "http-check", "http-reuse", "cookie", "stick", "retries"}
)
_OF_FRONTENDS = frozenset({"bind", "default_backend", "use_backend", "maxconn", "acl"})


def _read_front(migration: Migration, section: _Section, lines: list[_Line], passes: bool) -> None:
    name = name_of(section.name)
    common = Listener(name)
    if passes:
        common.keys["mode"] = "tcp"
    common.keys["pool"] = name
    binds = []
    idle: dict[str, Value] = {}
    for line in lines:
        match line.words:
            case ["bind", _, *_]:
                binds.append(line)
            case ["timeout", "http-keep-alive", time] if not passes:  # it has the last word on idle connections
                _timeout(idle, "idle_timeout", time)
            case ["default_backend", backend]:
                common.keys["pool"] = name_of(backend)
            case ["use_backend", backend, "if", "{", fetch, *options, "}"] if passes and _SNI.match(fetch):
                common.sni |= {one.lower(): name_of(backend) for one in options if not one.startswith("-")}
            case ["maxconn", text]:
                common.keys["max_connections"] = whole_number(text, 1, 1_000_000, 10_000)
            case ["timeout", kind, time] if kind in _ALL_TIMEOUTS:
                _timeout(common.keys, _FRONT_TIMEOUTS.get(kind), time)
            case [word, *_] if word not in _OF_BACKENDS or section.kind == "frontend":
                _note(migration, line)
    common.keys |= idle
    if common.sni:
        common.keys["mode"] = "sni"
        del common.keys["pool"]
    places = [(line, address) for line in binds for address in line.words[1].split(",")]
    for line, address in places:
        listener = Listener(name, {"bind": _bind(address), **common.keys}, sni=common.sni)
        _read_bind(migration, line, listener)
        migration.listen(listener)


def _read_bind(migration: Migration, line: _Line, listener: Listener) -> None:
    """The options of a `bind`, which are those of its TLS most of all."""
    others = []
    for option, value in _options(line.words[2:], _BIND_VALUES):
        match option:
            case "crt":
                listener.tls |= {"certificate": value, "key": value}
            case "verify":
                listener.tls |= {"client_certificate": value} if value != "none" else {}
            case "ca-file":
                listener.tls["client_ca"] = value
            case "crl-file":
                listener.tls["client_crl"] = [value]
            case "ssl-min-ver" if value in ("TLSv1.2", "TLSv1.3"):
                listener.tls["minimum_version"] = value.removeprefix("TLSv")
            case "accept-proxy":
                why = "accept_proxy_protocol_from names the peers whose PROXY header is believed"
                migration.note(line.number, "bind ... accept-proxy", why)
            case "alpn":
                migration.note(line.number, f"bind ... alpn {value}", "HTTP/1.1 only: Kerberos and NTLM need it")
            case _ if option not in _BIND_NEEDS_NOTHING:
                others.append(option)
    if others:
        migration.note(line.number, f"bind ... {' '.join(others)}", "lbproxy has no such setting")


def _read_back(migration: Migration, section: _Section, lines: list[_Line], passes: bool) -> None:
    pool = Pool(name_of(section.name), "tcp" if passes else "http", check={"kind": "tcp"})
    defaults: list[str] = []
    for line in lines:
        match line.words:
            case ["default-server", *defaults]:
                pass
            case ["server", name, address, *options]:
                _server(migration, pool, line, Backend(name_of(name), address), [*defaults, *options])
            case ["timeout", kind, time] if kind in _ALL_TIMEOUTS:
                _timeout(pool.keys, _BACK_TIMEOUTS.get(kind), time)
            case ["option", "httpchk", *words]:
                pool.check["kind"] = "http"
                _request(pool, words)
            case ["http-check", "send", *words]:
                given = dict(zip(words[::2], words[1::2], strict=False))
                _request(pool, [given.get("meth", "GET"), given.get("uri", "/")])
            case ["http-check", "expect", "status", statuses]:
                pool.check["expect"] = _statuses(statuses)
            case ["balance", method, *_]:
                if method != "roundrobin":
                    migration.note(line.number, " ".join(line.words), f"always round robin; {_STICKY}")
            case [word, *_] if word not in _OF_FRONTENDS or section.kind == "backend":
                _note(migration, line)
    migration.pools[pool.name] = pool


def _server(migration: Migration, pool: Pool, line: _Line, backend: Backend, options: list[str]) -> None:
    others = []
    for option, value in _options(options, _SERVER_VALUES):
        match option:
            case "weight":
                backend.weight = whole_number(value, 0, 100, 1)
            case "disabled":
                backend.weight = 0
            case "backup":
                backend.standby = True
            case "inter":
                _timeout(pool.check, "interval", value)
            case "rise" | "fall":
                pool.check[option] = whole_number(value, 1, 100, 2)
            case "ssl":
                pool.scheme = "https"
            case "verify":
                pool.tls |= {"verify": False} if value == "none" else {}
            case "ca-file" | "sni" | "crt":
                _backend_tls(migration, pool, line, option, value)
            case "send-proxy" | "send-proxy-v2":
                pool.keys["send_proxy_protocol"] = "v2" if option.endswith("v2") else "v1"
            case "cookie":
                migration.note(line.number, f"server {backend.name} cookie {value}", _STICKY)
            case "maxconn":
                migration.note(
                    line.number, f"server {backend.name} maxconn {value}", "no limit of connections a backend"
                )
            case _ if option not in _SERVER_NEEDS_NOTHING:
                others.append(option)
    if others:
        migration.note(line.number, f"server {backend.name} {' '.join(others)}", "lbproxy has no such setting")
    pool.backends.append(backend)


def _backend_tls(migration: Migration, pool: Pool, line: _Line, option: str, value: str) -> None:
    if option == "ca-file":
        pool.tls["ca"] = value
    elif option == "crt":
        pool.tls |= {"certificate": value, "key": value}
    elif value.startswith("str("):
        pool.tls["server_name"] = value[4:-1]
    else:
        migration.note(line.number, f"server ... sni {value}", "server_name is one name for the whole pool")


def _request(pool: Pool, words: list[str]) -> None:
    """`option httpchk [METHOD] URI [VERSION]`."""
    if len(words) == 1:
        words = ["GET", *words]
    if words:
        pool.check |= {"method": words[0], "path": words[1]}


def _statuses(text: str) -> list[int | str]:
    return [int(one) if re.fullmatch("[0-9]{3}", one) else one for one in text.split(",")]


def _timeout(keys: dict[str, Value], key: str | None, text: str) -> None:
    """Set `key`, if lbproxy has it. HAProxy's times are milliseconds, or have the unit us, ms, s, m, h or d."""
    if key is None:
        return
    number, unit = re.fullmatch(r"([0-9]{1,12})?(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]  # it always fits
    if number and unit in ("", "ms"):
        text = f"{number}ms" if int(number) % 1000 else f"{int(number) // 1000}s"
    elif number and unit == "us":
        text = f"{max(int(number) // 1000, 1)}ms"
    keys[key] = text


def _bind(address: str) -> str:
    """An address for lbproxy: `*:443` and `:443` are every IPv4 address."""
    host, _, port = address.rpartition(":")
    if address.startswith(("unix@", "/")):
        return f"unix:{address.removeprefix('unix@')}"
    return f"{'0.0.0.0' if host in ('', '*') else '[::]' if host == '::' else host}:{port}"


def _note(migration: Migration, line: _Line, before: str = "") -> None:
    """Say that a line is not in the draft, unless lbproxy needs none; the lines of `defaults` are said once."""
    word = line.words[1] if line.words[0] == "option" and len(line.words) > 1 else line.words[0]
    if word in _NEED_NOTHING or word == "mode" or any(note.line == line.number for note in migration.notes):
        return
    migration.note(line.number, before + " ".join(line.words), _WHY.get(word, "lbproxy has no such setting"))
