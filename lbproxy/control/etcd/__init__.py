"""etcd v3, asked over its own JSON gateway: the store that balancers and connectors share.

The gateway is part of every etcd server, so aiohttp is all that it takes. A client over gRPC was measured and left:
see docs/registration.md, "Why the JSON gateway".

client   the typed calls: range, put, delete, txn
values   what etcd's messages mean: keys and values, events, comparisons
watch    what changes under a prefix, from a revision on, also over breaks
mirror   a prefix as it is: listed, then watched, and listed again after a compaction
lease    keys that vanish with who keeps them
gateway  one HTTP call or stream: endpoints, deadlines, TLS, tokens
errors   what may go wrong

A password or token is in no `repr`, error or log line. Nothing here is used by the data path.
"""

from lbproxy.control.etcd.client import Etcd
from lbproxy.control.etcd.errors import (
    CompactedError,
    EtcdError,
    EtcdRefusedError,
    EtcdUnavailableError,
    LostHistoryError,
    ReplacedError,
)
from lbproxy.control.etcd.gateway import Access
from lbproxy.control.etcd.lease import Lease
from lbproxy.control.etcd.mirror import Mirror, View
from lbproxy.control.etcd.values import Batch, Event, KeyValue, Listing
from lbproxy.control.etcd.watch import Watch

__all__ = [
    "Access",
    "Batch",
    "CompactedError",
    "Etcd",
    "EtcdError",
    "EtcdRefusedError",
    "EtcdUnavailableError",
    "Event",
    "KeyValue",
    "Lease",
    "Listing",
    "LostHistoryError",
    "Mirror",
    "ReplacedError",
    "View",
    "Watch",
]
