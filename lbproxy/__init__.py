"""lbproxy: a load balancer for services that authenticate their users themselves (Kerberos, NTLM, client certificates).

What happens to a request:

    listener ──accepts──▶ client connection ──parses, asks──▶ pool ──picks──▶ backend ──over a──▶ lane
                                 ▲                                                               │
                                 └───────────────────── the answer, streamed ────────────────────┘

The primitives, and the file that each lives in:

    Listener    an address that clients connect to                                     net/listener/listener.py
    Client      one client connection: its requests one after the other                net/http/client.py
    Lane        one connection to a backend: *shared* while it has carried no identity,
                *private* to one client connection from then on                        net/upstream/lane.py
    Exchange    one request and its answer between a client connection and a lane      net/http/exchange.pyx, relay.pyx
    Stream      the bytes of one socket, plain or TLS                                  net/transport/stream.pyx
    Head, Body  HTTP/1.x bytes <-> meaning, strictly; heads are written anew           wire/heads.pyx, bodies.pyx
    Pool        its backends, their health, and whose turn it is                       balance/pool.py
    Binding     which lane a client connection's next request may use                  auth/binding.py
    Reason      why anything ended: one row of ONE table                               reasons.py
    Snapshot    the view of all of it that status and metrics read                     control/snapshot.py

The packages, and which may import which (tests/test_tree.py holds it):

    cli ─▶ process ─▶ status    ┐             ┌─▶ control ┐
                  └─▶ preflight ┴─▶ runtime ──┴─▶ net     ┴─▶ balance, auth, wire ─▶ record, reasons, errors

    cli                     the commands, each thin
    process                 the processes: which of them starts, replaces and ends which
    status                  everything that is known, as one view
    preflight               does what the configuration names exist, fit, and may it be used
    runtime                 from a configuration to running parts
    control                 everything that is not users' bytes: probes, admin interface, metrics, logs
    net                     the data path: the only place where users' bytes move. control and net meet in runtime
    balance, auth, wire     decisions: no I/O and no clock; bytes, limits and the time arrive as arguments
    config                  the configuration file as frozen, validated models. control, net and below do not know it
    files                   how a file that an administrator names is read: balance, auth and wire read none
    record                  one request as the access log writes it: net makes it, control formats it
    program                 how a process of lbproxy's own is started: Python with a module, or the one-file program
    demo                    sample connectors, a throwaway realm and CA; it shares no code with the balancer

Nothing on a request's way waits for a task, a lock or a log. docs/architecture.md says where to look for what;
docs/life-of-a-request.md walks through a request step by step.
"""

__version__ = "0.1.0"
