"""A rolling update of a pool: the operator's command for one backend after the other, which the users do not notice.

plan      which backends, in which order, and whether the pool can do without one of them
waiting   what a backend is waited for, read off its view
command   the operator's command: filled in for a backend, run with its output in a log
balancer  the running balancer, as the rollout sees it
runner    the steps, for one backend at a time, until the first failure

Pure but for `command` and `balancer`, which `runner` is given.
"""
