"""Where the rooms meet: the configuration becomes sockets, pools and probes, and runs until it is told to stop.

preflight    does everything that the configuration names exist, and does it fit
sockets      the listening sockets
worker       the data path: listeners, pools and lanes, ticking on one loop
generation   the control plane around it: probes, admin interface, logs, signals
link         what the two tell each other
operations   what an operator may have done to a backend
view         the one snapshot that status and metrics read
expiry       when certificates and revocation lists end, as part of it
"""
