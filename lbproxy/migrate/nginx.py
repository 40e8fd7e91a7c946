"""nginx.conf, or what `nginx -T` prints, by the documentation of nginx: what of its directives lbproxy has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from lbproxy.errors import MigrationError
from lbproxy.migrate.migration import Backend, Listener, Migration, Pool, Value, name_of, whole_number
from lbproxy.migrate.nginx_syntax import Directive, parse

_STICKY = "no sticky sessions: every request goes to the next instance, so all must have the same configuration"
_ALWAYS = "X-Forwarded-* is set anew, Host is passed on, and identity headers of clients are removed, always"
_LANES = "connections that carry a sign-in are private to their client, always; others are kept"
_WHY = {
    "ip_hash": _STICKY,
    "hash": _STICKY,
    "sticky": _STICKY,
    "least_conn": "always round robin",
    "ntlm": _LANES,
    "keepalive": _LANES,
    "proxy_set_header": _ALWAYS,
    "proxy_http_version": _ALWAYS,
    "proxy_next_upstream": "a request that no backend has seen goes to the next one; see retry_budget, retry_statuses",
    "client_max_body_size": "no limit of bodies; they are streamed",
    "proxy_buffering": "bodies are streamed",
    "proxy_cache": "no caching",
    "rewrite": "no rewriting",
    "return": "no answers of its own",
    "auth_request": "backends sign users in themselves",
    "include": "only this file was read; `nginx -T > all.conf` has all of them in one",
    "http2": "HTTP/1.1 only: Kerberos and NTLM need it",
    "map": "no variables",
}
_NEED_NOTHING = frozenset({
    "user", "worker_processes", "worker_connections", "events", "pid", "error_log", "sendfile", "tcp_nopush",
    "tcp_nodelay", "types", "default_type", "include_mime", "gzip", "server_tokens", "ssl_ciphers",
    "ssl_prefer_server_ciphers", "ssl_session_cache", "ssl_session_timeout", "ssl_session_tickets", "ssl_dhparam",
    "ssl_ecdh_curve", "proxy_redirect", "zone", "multi_accept", "use", "log_format", "worker_rlimit_nofile",
    "proxy_ssl_session_reuse", "proxy_request_buffering", "resolver",
})  # fmt: skip
_LISTEN_NEEDS_NOTHING = frozenset({"ssl", "default_server", "default", "reuseport", "deferred", "bind"})
_HTTP_SERVER: dict[str, str] = {
    "client_header_timeout": "header_timeout",
    "keepalive_timeout": "idle_timeout",
}
_PROXY: dict[str, str] = {
    "proxy_connect_timeout": "connect_timeout",
    "proxy_read_timeout": "response_timeout",
}
_TLS: dict[str, str] = {
    "ssl_certificate": "certificate",
    "ssl_certificate_key": "key",
    "ssl_client_certificate": "client_ca",
}
_PROXY_TLS: dict[str, str] = {
    "proxy_ssl_trusted_certificate": "ca",
    "proxy_ssl_certificate": "certificate",
    "proxy_ssl_certificate_key": "key",
}
_INHERITED = frozenset({
    *_TLS, *_HTTP_SERVER, *_PROXY, *_PROXY_TLS, "ssl_crl", "ssl_verify_client", "ssl_protocols", "proxy_ssl_name",
    "proxy_ssl_verify", "proxy_timeout",
})  # fmt: skip
"""What the block http or stream says for its servers."""


def read(text: str, source: str) -> Migration:
    """A draft from the text of nginx.conf. Raises MigrationError for what is no nginx.conf."""
    reader = _Reader(Migration(source))
    for one in parse(text, source):
        if one.name in ("http", "stream"):
            reader.context(one.block, one.name == "stream")
        elif one.name in ("server", "upstream"):
            reader.context([one], False)
        else:
            reader.note(one)
    return reader.migration


class _Reader:
    """What the servers and upstreams read so far amount to."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self._keys: dict[str, Value] = {}
        self._tls: dict[str, Value] = {}

    def note(self, directive: Directive, why: str = "") -> None:
        """Say that a directive is not in the draft, unless lbproxy needs none."""
        if why or directive.name not in _NEED_NOTHING:
            reason = why or _WHY.get(directive.name, "lbproxy has no such setting")
            self.migration.note(directive.line, str(directive), reason)

    def _words(self, directive: Directive) -> tuple[str, Sequence[str]]:
        """Its first argument, and the others. Raises MigrationError where nginx refuses it too, for it has none."""
        if not directive.arguments:
            raise MigrationError(f"{self.migration.source}:{directive.line}: {directive.name} has no argument")
        first, *others = directive.arguments
        return first, others

    def context(self, block: list[Directive], stream: bool) -> None:
        """The block http or stream: upstreams first, because servers name them."""
        scheme = "tcp" if stream else "http"
        maps = {one.arguments[1]: one for one in block if one.name == "map" and len(one.arguments) == 2}
        for one in block:
            match one.name:
                case "upstream":
                    self._upstream(one, scheme)
                case "server" | "map":
                    pass
                case name if name not in _INHERITED:
                    self.note(one)
        inherited = [one for one in block if one.name in _INHERITED]
        for one in block:
            if one.name == "server":
                self._server(replace(one, block=[*inherited, *one.block]), scheme, maps)

    def _upstream(self, upstream: Directive, scheme: str) -> None:
        pool = Pool(name_of(self._words(upstream)[0]), scheme, check={"kind": "tcp"})
        for one in upstream.block:
            if one.name == "server":
                self._backend(pool, one)
            else:
                self.note(one)
        self.migration.pools[pool.name] = pool

    def _backend(self, pool: Pool, server: Directive) -> None:
        address, options = self._words(server)
        backend = Backend(f"c{len(pool.backends) + 1}", address if ":" in address else f"{address}:80")
        for option in options:
            match option.partition("="):
                case "weight", _, text:
                    backend.weight = whole_number(text, 0, 100, 1)
                case "backup", _, _:
                    backend.standby = True
                case "max_fails", _, text:
                    pool.keys["consecutive_errors"] = whole_number(text, 1, 100, 3)
                case "down", _, _:
                    backend.weight = 0
                case _:
                    self.note(server, f"{option} has no key")
        pool.backends.append(backend)

    def _server(self, server: Directive, scheme: str, maps: dict[str, Directive]) -> None:
        names = [name for one in server.all("server_name") for name in one.arguments if name not in ("_", "")]
        listener = Listener(name_of(names[0] if names else f"server-{len(self.migration.listeners) + 1}"))
        if scheme == "tcp":
            listener.keys["mode"] = "tcp"
        elif names:
            listener.keys["hosts"] = [*names]
        listens = [*server.all("listen")] or [Directive(server.line, "listen", ["80"])]
        for one in server.block:
            self._directive(listener, one, scheme, maps)
        self._apply(listener.keys.get("pool"))
        if not listener.keys.get("pool") and not listener.sni:
            self.note(server, "it forwards nothing")
            return
        self._listen(listener, listens)
        if names and listens and not self.migration.server_url and scheme == "http":
            self.migration.server_url = self._url(names[0], listens)

    def _url(self, name: str, listens: Sequence[Directive]) -> str:
        """Where users go: to an address with TLS, if there is one."""
        secret = [one for one in listens if "ssl" in one.arguments]
        port = _bind(self._words((secret or listens)[0])[0]).rpartition(":")[2]
        usual = "443" if secret else "80"
        return f"{'https' if secret else 'http'}://{name}{'' if port == usual else f':{port}'}"

    def _listen(self, listener: Listener, listens: list[Directive]) -> None:
        for one in listens:
            address, options = self._words(one)
            keys = {"bind": _bind(address), **listener.keys}
            tls = listener.tls if "ssl" in options else {}
            self.migration.listen(Listener(listener.name, keys, tls, listener.sni))
            for option in options:
                if option in _LISTEN_NEEDS_NOTHING:
                    continue
                if option == "proxy_protocol":
                    self.note(one, "accept_proxy_protocol_from names the peers whose PROXY header is believed")
                elif option in ("http2", "quic"):
                    self.note(one, _WHY["http2"])
                else:
                    self.note(one, f"{option} has no key")

    def _directive(self, listener: Listener, one: Directive, scheme: str, maps: dict[str, Directive]) -> None:
        match one.name, one.arguments:
            case ("listen" | "server_name", _):
                pass
            case ("location", [path]) if any(one.all("proxy_pass")):
                if listener.keys.get("pool"):
                    self.note(one, "no routing by path: one listener has one pool")
                    return
                if path != "/":
                    self.note(one, "every path is forwarded; deny_paths has those that are not")
                for inner in one.block:
                    self._proxy(listener, inner, scheme, maps)
            case (name, [value, *_]) if name in _TLS:
                listener.tls[_TLS[name]] = value
            case ("ssl_crl", [value]):
                listener.tls["client_crl"] = [value]
            case ("ssl_verify_client", [value]):
                listener.tls["client_certificate"] = {"on": "required", "off": "none"}.get(value, "optional")
            case ("ssl_protocols", values):
                listener.tls["minimum_version"] = "1.3" if values == ["TLSv1.3"] else "1.2"
            case ("ssl_preread", _):
                pass
            case (name, [value, *_]) if name in _HTTP_SERVER and scheme == "http":
                _time(listener.keys, _HTTP_SERVER[name], value)
            case _:
                self._proxy(listener, one, scheme, maps)

    def _proxy(self, listener: Listener, one: Directive, scheme: str, maps: dict[str, Directive]) -> None:
        """A directive that speaks of the backends; the pool may be known only after it."""
        match one.name, one.arguments:
            case ("proxy_pass", [target]):
                self._pass(listener, one, target, scheme, maps)
            case (name, [value]) if name in _PROXY:
                _time(self._keys, _PROXY[name], value)
            case (name, [value]) if name in _PROXY_TLS:
                self._tls[_PROXY_TLS[name]] = value
            case ("proxy_ssl_name", [value]) if "$" not in value:
                self._tls["server_name"] = value
            case ("proxy_ssl_verify", [value]):
                self._tls["verify"] = value == "on"
            case ("proxy_ssl_server_name" | "proxy_ssl_name", _):
                pass
            case ("proxy_protocol", ["on"]):
                self._keys["send_proxy_protocol"] = "v1"
            case ("proxy_timeout", [value]):
                _time(listener.keys, "idle_timeout", value)
            case _:
                self.note(one)

    def _pass(self, listener: Listener, one: Directive, target: str, scheme: str, maps: dict[str, Directive]) -> None:
        """`target` is a URL or, in stream, an upstream's name, an address, or a variable of the server name's map."""
        if target in maps and maps[target].arguments[0] == "$ssl_preread_server_name":
            listener.keys["mode"] = "sni"
            rows = (row for row in maps[target].block if row.name != "default")
            listener.sni |= {row.name: name_of(self._words(row)[0]) for row in rows}
            return
        if "$" in target:
            self.note(one, "no variables")
            return
        parts, port = self._place(one, target)
        if parts.path not in ("", "/") or target.count("/") > 2:
            self.note(one, "the path is passed on as it is")
        name = name_of(parts.netloc)
        if name not in self.migration.pools:
            default = {"http": 80, "https": 443}.get(parts.scheme, 0)
            address = parts.netloc if port else f"{parts.netloc}:{default}"
            self.migration.pools[name] = Pool(name, backends=[Backend("c1", address)], check={"kind": "tcp"})
        pool = self.migration.pools[name]
        pool.scheme = parts.scheme if scheme == "http" else "tcp"
        listener.keys["pool"] = name

    def _place(self, one: Directive, target: str) -> tuple[SplitResult, int | None]:
        """Raises MigrationError where nginx refuses it too."""
        try:
            parts = urlsplit(target if "://" in target else f"tcp://{target}")
            return parts, parts.port
        except ValueError as error:
            raise MigrationError(f"{self.migration.source}:{one.line}: {one}: {error}") from None

    def _apply(self, name: Value | None) -> None:
        """Give the pool what its server and location said of it; upstreams have the first say."""
        if isinstance(name, str):
            pool = self.migration.pools[name]
            pool.keys = {**self._keys, **pool.keys}
            pool.tls = {**self._tls, **pool.tls} if pool.scheme == "https" else {}
        self._keys, self._tls = {}, {}


def _time(keys: dict[str, Value], key: str, text: str) -> None:
    """nginx's times are seconds, or have units; one of several units, such as 1m30s, is left out."""
    if text.isdigit():
        text = f"{text}s"
    if text[:-1].isdigit() or text.removesuffix("ms").isdigit():
        keys[key] = text


def _bind(address: str) -> str:
    """An address for lbproxy: a lone port is every IPv4 address."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":") if not address.endswith("]") else (address, "", "80")
    if not port.isdigit():
        host, port = address, "80"
    return f"{'0.0.0.0' if host in ('', '*') else host}:{port}"
