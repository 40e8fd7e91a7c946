"""Who asks over the admin interface: what is ordered is shown and logged with their name."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct

from lbproxy.control.admin import web

BY_ADDRESS = "admin"
"""A client of a loopback address: TCP does not tell its account."""

ON_BEHALF = "Lbproxy-On-Behalf-Of"
"""A header: the operator for whom the account asks, as the dashboard does for those who have signed in there."""

_LONGEST = 200
"""Characters of it."""

_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7): pid, uid, gid


async def peer(request: web.Request) -> str:
    """Who asks: the account, and for whom it does: "olga@CORP.EXAMPLE via lbproxy"."""
    account, whom = await _account(request), request.headers.get(ON_BEHALF.lower(), "")
    if not whom:
        return account
    return f"{''.join(one if one.isprintable() else '?' for one in whom[:_LONGEST])} via {account}"


async def _account(request: web.Request) -> str:
    """The name of the user at the other end of the Unix socket (SO_PEERCRED, unix(7)), or its number if it has none."""
    sock = request.sock
    if sock is None or sock.family != socket.AF_UNIX:
        return BY_ADDRESS
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        return (await asyncio.to_thread(pwd.getpwuid, uid)).pw_name  # which may have to ask a directory
    except KeyError:  # a user of another container, perhaps
        return str(uid)
