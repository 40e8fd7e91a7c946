"""The kerberos check: sign in at each connector as a user would, and say precisely why that fails.

failures     ONE table: why a sign-in fails, and whether the connector is to blame
credentials  a keytab in, tickets and tokens out (GSS-API; blocking; needs the extra `kerberos`)
tickets      the pool's current ticket: renewed in threads, kept while the KDC is away
exchange     one request with a token, and what the answer means
binding      does the connector keep the user on the connection?
probe        these in their order, for one connector
tokens       what is read out of Kerberos messages: the version of a key, an error's number and time
threads      the few threads that may wait for a KDC

Whatever goes wrong between lbproxy and the KDC is not the connector's fault and never ejects it.
"""
