"""TLS contexts: towards clients and towards https backends, both followed as their files change.

ServerTls       a listener's certificates, chosen by server name, and its policy for those of clients
ClientPolicy    which client certificates are accepted in a handshake, after a resumed one, and while connected
BackendTls      a pool's settings; BackendContext is one of them or one user's, with the sessions to resume
"""

from lbproxy.net.tls.accepted import AcceptedTls
from lbproxy.net.tls.backend import BackendContext, BackendTls
from lbproxy.net.tls.clients import ClientPolicy, ClientRefused, refusal
from lbproxy.net.tls.files import Expiry
from lbproxy.net.tls.server import ServerTls

__all__ = [
    "AcceptedTls",
    "BackendContext",
    "BackendTls",
    "ClientPolicy",
    "ClientRefused",
    "Expiry",
    "ServerTls",
    "refusal",
]
