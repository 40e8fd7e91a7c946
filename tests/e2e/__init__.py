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

LBPROXY_FULL=1 runs the long form: a gigabyte to a slow reader.
"""
