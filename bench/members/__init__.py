"""What it costs when backends come and go: how soon one is in rotation, and what changes cost lbproxy and its users.

reaction   from an event at the source to the backend in rotation, and out of it
churn      many members, some of which change all the time: CPU time, and what users wait
places     the sources: a file, etcd, a name server, an API server of Kubernetes
balancer   lbproxy in front of them, and what its log says
"""
