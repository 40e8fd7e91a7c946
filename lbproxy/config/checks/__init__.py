"""What only two keys together can get wrong.

The rules look at the document, not at the models, so that they speak up even when a third key is wrong too. A value of
the wrong type is passed over here: the models have a problem for it already. Each module is one subject:

    sections             something to listen on, something to forward to, and no name or address twice
    forwarding           which listener forwards to which pool, and whether the two go together
    listeners            the keys of a listener against its mode and its kind of socket
    client_certificates  the keys about users' certificates
    pools                the keys of a pool against its backends
    probes               the keys of a check against its kind
    consistency          the facts of a consistency guard
    document             all of them

`look` reads a document that may have anything anywhere.
"""

from lbproxy.config.checks.document import problems

__all__ = ["problems"]
