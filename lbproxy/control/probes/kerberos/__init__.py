"""The kerberos check: sign in at each connector as a user would, and say precisely why that fails.

failures     ONE table: why a sign-in fails, and whether the connector is to blame
sign_in      a keytab in, a ticket-granting ticket out; one for all pools (blocking; needs the extra `kerberos`)
sign_ins     those of a process
backoff      when a KDC that refused something is asked the same again
credentials  that in, tickets and tokens out (GSS-API; blocking; needs the extra `kerberos`)
gss, libkrb5 the two libraries, as far as they are used
tickets      the pool's current ticket: renewed in threads, kept while the KDC is away
votes        what the connectors make of it: is one to blame, or the directory?
exchange     one request with a token, and what the answer means
binding      does the connector keep the user on the connection?
probe        these in their order, for one connector
memory       what all of these leave to the next process
tokens       what is read out of Kerberos messages: a ticket's key, an error's number, time and NTSTATUS
threads      the few threads that may wait for a KDC

Whatever goes wrong between lbproxy and the KDC is not the connector's fault and never ejects it.
"""
