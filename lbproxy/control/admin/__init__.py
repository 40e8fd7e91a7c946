"""The admin interface: the snapshot over HTTP, and orders, on a Unix socket or a loopback address.

sockets      the listening socket, and what to do about one that a dead process left
server       the web server on that socket
exchange     one connection of a client: its requests, one after the other
web          requests, answers, and which route is meant
api          all of these routes:
routes       what can be read: /status, /metrics, /healthz, /readyz
orders       what can be done to a backend: drained, made ready again
members      backends that come, change and go
peer         the account at the other end
recent       the last events of the log, and the last hour of backends
leave        this host leaves its addresses to others, and what the program that moves them asks
reload       POST /reload: the configuration is read again
guard        refuses web pages, which would make a browser ask
client       the other end, for the commands; imports the standard library only
"""
