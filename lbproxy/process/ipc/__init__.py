"""How the processes talk to each other.

channel          messages and descriptors over a Unix socket, blocking
async_channel    the same on an event loop
reactor          the loop of the processes that have no asyncio
restart_backoff  how long to wait before a process is started again
"""
