"""From a listening socket to a client connection whose peer is known.

listener      accepts, and holds what its client connections share
proxy_header  the PROXY header of a trusted peer, read before anything else
handshake     the TLS handshake, within its deadline
"""
