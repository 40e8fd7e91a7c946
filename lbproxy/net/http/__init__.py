"""HTTP/1.x between clients and backends.

web          a listener's service in mode http: options, and a client connection for each accepted one
client       one client connection: the policy of its requests
exchange     the HTTP/1 front: requests of a client one after the other, each with its answer; compiled
relay        one request on one lane, and its answer; compiled
phases       what an exchange waits for, and what may follow; compiled
site         what a listener serves: hosts, paths, limits of time, and a histogram; compiled
attempts     the backends that one request was tried on
account      what is counted when a request ends
record       the access log's record of a request
error_pages  the answers that lbproxy gives itself
"""
