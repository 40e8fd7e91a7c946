"""A randomised trial of the whole balancer.

Every request has to end, with its own answer, for its own user, and may run no more often than it is allowed to.
Hostile clients and backends of the trial's own surround a real `lbproxy run`. It is reloaded, and its backends drain,
in the middle. Clients and backends live in one process, so a backend knows what a client meant by each request.

    modes.py        what is tried: shared lanes, send_proxy_protocol, minted certificates; plain and TLS
    script.py       what a client does, made from the seed: its requests, how it sends them and how it leaves
    client.py       does it, and judges each answer
    backend.py      a connector that binds users to connections, and fails as the script says
    checks.py       what is known of each request, and each rule that was broken
    disturbance.py  reloads and drains in the middle
    run.py          all of it for a time, and what must be true at the end

    python -m tests.e2e.trial --seed 7 --seconds 60 --mode proxied

The seed decides what clients and backends do; when they meet is up to the machine.
"""
