"""The sockets of a configuration, as the master would bind them."""

from __future__ import annotations

import socket

from lbproxy.config import Config
from lbproxy.process.generation.listen_addresses import ADMIN, listener_key, wanted
from lbproxy.process.master.listening_sockets import listen


def listen_all(config: Config) -> dict[str, socket.socket]:
    """By the listener's name; without the admin interface's."""
    sockets = {one.key: listen(one) for one in wanted(config) if one.key != ADMIN}
    return {name: sockets[listener_key(name)] for name in config.listeners}
