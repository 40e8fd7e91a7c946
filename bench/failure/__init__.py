"""What users notice when a connector fails, behind lbproxy and behind other proxies.

The words:
    Connector   one of three backends of our own, a process each: 20 ms of work a request, and a journal of what it ran
    Victim      the connector that fails
    Fault       a way to fail, and to recover (faults.py is the table)
    Setting     a proxy with one configuration file: as it comes, or at its best (peers/)
    Case        one setting and one fault, under open-loop traffic (case.py)
    Traffic     the users: so many requests a second, whether or not the earlier ones were answered
    Watch       a look at the packets that the proxy sends to the victim
    Figures     what a case showed (figures.py)
"""
