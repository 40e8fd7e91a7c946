"""The processes: which of them starts, replaces and ends which.

ipc         how they talk to each other
master      holds the listening sockets; starts, replaces and ends generations
generation  the processes started for one version of the configuration, and its control plane
workers     the data path in processes of its own
"""
