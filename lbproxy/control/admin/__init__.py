"""The admin interface: the snapshot over HTTP, on a Unix socket or a loopback address.

sockets      the listening socket, and what to do about one that a dead process left
server       the web server on that socket
routes       what can be read: /status, /metrics, /healthz, /readyz
guard        who may not ask: web pages that make a browser do it
client       the other end, for the commands; imports the standard library only

A later command that changes something is one more list of routes beside `routes`.
"""
