"""Everything that `lbproxy demo` needs besides the balancer, and what the end-to-end tests stand on.

    Connector   an authentication connector as one process: SPNEGO, client certificates, a journal (connector.py)
    Realm       a throwaway Kerberos realm on 127.0.0.1 with Debian's KDC (realm.py)
    Authority   a throwaway certification authority (authority.py)
    etcd        what two balancers share (store.py)
    Child       a process that the demo started, and will end (children.py)
    DemoStack   all of it together with one balancer or two in front (stack.py), and the commands to try on it (tour.py)

Nothing here is imported by the rest of lbproxy except its command line, and nothing of lbproxy is
imported here except its errors: the balancer runs as any user runs it, as a command with a file.
"""
