"""A rolling update of a pool: the operator's command for one instance after the other, which users do not notice.

An instance is the backends of one name, in all pools that have one.

plan      which instances, in which order, and whether their pools can do without one of them
waiting   what an instance is waited for, read off its view
command   the operator's command: filled in for an instance, run with its output in a log
balancer  the running balancer, as the rollout sees it
lock      one rollout a pool at a time, in the whole fleet, and in each pool that it takes instances out of
local     what a balancer without a fleet keeps of rollouts
runner    the steps, for one instance at a time, until the first failure

Pure but for `command` and `balancer`, which `runner` is given.
"""
