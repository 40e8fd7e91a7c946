"""How the processes talk to each other.

messages         where a message is encoded and decoded, and what holds for all of them
master_messages  what the master and a generation say to each other, and generations through the master
worker_messages  what a generation says to its workers and its forker, and they to it
channel          messages and descriptors over a Unix socket, blocking
async_channel    the same on an event loop
reactor          the loop of the processes that have no asyncio
restart_backoff  how long to wait before a process is started again
"""
