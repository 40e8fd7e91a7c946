"""Where the rooms meet: the configuration becomes sockets, pools and probes, and runs until it is told to stop.

master       holds the sockets; starts, replaces and ends generations, whatever becomes of them
preflight    does everything that the configuration names exist, and does it fit
sockets      the listening sockets
worker       the data path: listeners, pools and lanes, ticking on one loop
crew         the workers in other processes, as one data path; mate is one of them, nursery forks them
generation   the control plane around it: probes, admin interface, logs, signals
link         what the two tell each other
operations   what an operator may have done to a backend
handover     what one generation leaves to the next; ledger and tally: what was counted elsewhere
view         the one snapshot that status and metrics read
expiry       when certificates and revocation lists end, as part of it
"""
