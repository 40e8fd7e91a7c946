"""The data path in processes of its own.

supervisor  all workers of a generation, as one data path
forker      the process that forks them
main        one worker process
"""
