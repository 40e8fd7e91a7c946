"""The control plane: everything that is not users' bytes.

snapshot    the one view of a running balancer, a plain JSON-able dictionary, that all of the following read
probes      active health checks, one task a backend
consistency what must be the same on all backends of a pool, read and compared
counts      what is counted: every number of the snapshot, with its metric
metrics     the snapshot as Prometheus metrics
admin       the snapshot, and orders, over a Unix socket or loopback HTTP
draining    what a drained backend still has to finish
access_log  one JSON object a request
log         what the balancer itself has to say, one line an event

This package is given plain data and callables. It never imports the data path, the processes or the
configuration; `lbproxy.runtime` connects them.
"""
