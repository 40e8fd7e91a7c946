"""Black-box tests: a real `lbproxy run` process between raw clients and scripted backends.

They know the configuration contract and the command line, and nothing of the code behind them:

    configuration.py  builds the TOML file
    balancer.py       the process: its ready line, log, access log, memory and exit
    peers.py          one balancer and its backend, shared by tests that need nothing special
    backend.py        a backend whose every connection follows a script
    client.py         a client that sends exactly the bytes it is told to
    message.py        the strict HTTP/1 reader that backend and client share
    progress.py       waiting for a condition
    tls.py            certificates and contexts
    users.py          users with client certificates, and a gate that asks for them
    connectors.py     sample connectors that end TLS, each an instance.py; reaper.py kills them
    handshakes.py     a TLS client whose every byte is in the test's hands
    passing.py        listeners that pass connections through
    trial/            randomised clients and backends (`python -m tests.e2e.trial --seed N`)
    programs.py, haproxy.py    curl, `openssl s_client` and HAProxy

LBPROXY_FULL=1 runs the long form: gigabytes, more connectors killed, half a million requests of trials.
"""
