"""A sample authentication connector: one process, one instance of the fleet behind a balancer.

    python -m lbproxy.demo.connector --name c1 --port 4000 [--keytab FILE] ...

It prints `listening: URL` on standard output once it accepts. SIGTERM and SIGINT end it: it accepts no more at once,
and what is in flight has 2 s.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from aiohttp import web

from lbproxy.demo.acceptor import Acceptor
from lbproxy.demo.application import Connector
from lbproxy.demo.journal import Journal
from lbproxy.demo.options import Options, parse_options
from lbproxy.errors import LbproxyError

_KEEP_ALIVE = 5.0  # seconds an idle connection stays open, as the Auth0 connector's
_SHUTDOWN = 2.0  # seconds that requests in flight have after a signal


def tls_context(options: Options) -> ssl.SSLContext | None:
    """The server's TLS, None without a certificate; with a client CA, a certificate is asked for but not required."""
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.client_ca)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    if options.client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def serve(options: Options) -> None:
    """Serves until a signal. Raises OSError when the address or a file cannot be used, LbproxyError for the keytab."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(options.journal))
        acceptor = Acceptor(options.keytab, options.spn_host) if options.keytab else None
        context = tls_context(options)
        listener = stack.enter_context(socket.create_server((options.host, options.port), backlog=1024))
        host, port = listener.getsockname()
        address = f"{'https' if context else 'http'}://{host}:{port}"
        runner = web.AppRunner(
            Connector(options, address, acceptor, journal).application(),
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE,
            shutdown_timeout=_SHUTDOWN,
            max_line_size=options.max_header,
            max_field_size=options.max_header,
        )
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=context).start()
        print(f"listening: {address}", flush=True)
        await stop.wait()
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after a signal, 1 when it cannot start."""
    options = parse_options(arguments)
    try:
        asyncio.run(serve(options))
    except (LbproxyError, OSError) as error:
        sys.stderr.write(f"connector {options.name}: {error}\n")  # in one write: the others' lines come there too
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
