"""What may go wrong with etcd; each error names the endpoint and the reason.

EtcdError
├── EtcdUnavailableError  no endpoint answered in time, or none has a leader: try again later
├── EtcdRefusedError      etcd answered no: credentials, permissions, a lease that is gone
└── LostHistoryError      a watch cannot go on where it was: list again
    ├── CompactedError    the revision that it should begin at is gone
    └── ReplacedError     it is another store than before: one that was restored, or made anew
"""

from __future__ import annotations

from lbproxy.errors import LbproxyError

INVALID_ARGUMENT = 3
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
UNAVAILABLE = 14
UNAUTHENTICATED = 16
"""Codes of gRPC (google.rpc.Code) that etcd uses."""


class EtcdError(LbproxyError):
    """`endpoint` is the URL that was asked last; `reason` is for an administrator."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"etcd {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class EtcdUnavailableError(EtcdError):
    """No endpoint gave an answer. `maybe_done`: the request was sent, so it may have been carried out."""

    def __init__(self, endpoint: str, reason: str, maybe_done: bool = False) -> None:
        super().__init__(endpoint, reason)
        self.maybe_done = maybe_done


class EtcdRefusedError(EtcdError):
    """etcd answered with an error of its own; `code` is that of gRPC."""

    def __init__(self, endpoint: str, reason: str, code: int) -> None:
        super().__init__(endpoint, reason)
        self.code = code


class LostHistoryError(EtcdError):
    """What has changed since the last view cannot be known any more."""


class ReplacedError(LostHistoryError):
    """The store is not the one that was watched."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "it has another store than before")


class CompactedError(LostHistoryError):
    """History before `revision` is gone."""

    def __init__(self, endpoint: str, revision: int) -> None:
        super().__init__(endpoint, f"history before revision {revision} was compacted")
        self.revision = revision
