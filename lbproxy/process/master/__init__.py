"""The master: holds the listening sockets; starts, replaces and ends generations, whatever becomes of them.

main               its entry points
master             the process itself
generation_handle  one generation as the master sees it
held_sockets       the sockets that it holds, its own and those of a service manager
listening_sockets  how a listening socket is made
reexec             the same master in a new program (USR2)
sd_notify          what the service manager is told
"""
