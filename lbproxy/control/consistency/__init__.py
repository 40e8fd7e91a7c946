"""The consistency guard: what must be the same on every backend of a pool is read, compared, and acted upon.

reading   what came of reading one fact at one backend: a value, or why there is none
page      a page of a backend, fetched within bounds
places    where in a page a value is: a JSON pointer, a regular expression, a header
metadata  the address that a federation metadata document publishes
sources   what facts are read from: a page, the TLS certificate, the kerberos probe
guard     when a pool's backends are read, and what follows
report    the log's lines about what has changed

What is right, and who has to leave, is decided in `balance.consistency`.
"""
