"""lbproxy beside other proxies, under the same load: what a request costs each of them.

The words:
    Scenario    what is asked: a head, a body, TLS or not (scenario.py is the table)
    Backends    three servers of one nginx that answer it, on the load core
    Peer        a proxy: writes its configuration for a scenario and says how it is started (peers/)
    Site        where a peer serves a scenario, and with what
    Load        what a load generator saw (wrk in load.py, handshakes.py), on the load core
    Round       one measured load of one peer; the peers' rounds alternate (rounds.py)
    Outcome     a run: saved, reported and compared (outcome.py, report.py)
"""
