"""What only two keys together can get wrong, and what is there for nothing.

The rules look at the document, not at the models, so that they speak up even when a third key is wrong too. A value of
the wrong type is passed over here: the models have a problem for it already. Each module is one subject:

    sections             something to listen on, something to forward to, a user, and no name or address twice
    forwarding           which listener forwards to which pool, and which of its backends it can use
    listeners            the keys of a listener against its mode and its kind of socket
    client_certificates  the keys about users' certificates
    pools                the keys of a pool against its backends
    discover             the keys of a discovery against its kind, and backends that are to be expanded
    probes               the keys of a check against its kind
    consistency          the facts of a consistency guard
    fleet                the keys of [fleet] that belong together
    tracing              the same of [tracing]
    admin_web            the keys of [admin.web] against the ways of signing in
    document             all of them

`problems` are contradictions: whatever lbproxy did, one of the keys would not mean what it says. `warnings` are keys
and tables that are well-formed and not used, as when a kind is switched and the keys of the other kind stay.

`look` reads a document that may have anything anywhere.
"""

from lbproxy.config.checks.document import problems, warnings

__all__ = ["problems", "warnings"]
