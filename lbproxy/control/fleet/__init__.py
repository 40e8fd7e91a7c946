"""Several balancers that look like one: what they tell each other through etcd.

fleet        a balancer in its fleet; all of the others meet here
place        which balancer this is, and what its fleet asks of it
keys         which keys etcd has for them, and how their values are read
replica      what a balancer tells of itself
presence     its own key, under its lease
roster       the balancers that there are, and those whose lease has ended
differences  which of them run another version, or serve another configuration
merge        what two replicas say of one backend: the newest counts, for each field by itself
order_book   all orders, beside what etcd has of them
shared_orders  orders that are given here go to etcd, and those of etcd are carried out here
fleet_secret  what is shared and secret is sealed under it
ticket_ring  which key seals session tickets, and when the next one is made
shared_tickets  those keys in etcd, so that TLS sessions resume on every replica
evidence     which backends are probed because another balancer has ejected them
rollouts     one rollout a pool at a time: its lock, and how far it has come
waiting      which balancers an order still waits for
reach        whether etcd answers, and since when it does not
views        what the snapshot shows of it

They share what operators say, never verdicts: each balancer probes and ejects by itself, and is a whole balancer
without etcd. No user's request waits for anything here.
"""
