"""A connector, run as a process, that sends the acceptor's token back whatever came of it: error_tokens.py KEYTAB."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer

import gssapi


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    credentials: gssapi.Credentials

    def do_GET(self) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Negotiate":
            return self.answer(401, "Negotiate")
        context = gssapi.SecurityContext(creds=self.credentials, usage="accept")
        reply = context.step(b64decode(token)) or b""
        try:
            status = 200 if context.complete else 401
        except gssapi.raw.GSSError:  # gssapi holds an error back while it has a token to send
            status = 401
        return self.answer(status, f"Negotiate {b64encode(reply).decode()}")

    def answer(self, status: int, challenge: str) -> None:
        self.send_response(status)
        self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    Handler.credentials = gssapi.Credentials(usage="accept", store={"keytab": sys.argv[1]})
    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening: http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
