"""What may go wrong with an API server; each error says which server, and why.

KubernetesError
├── AccountError      nothing was asked: the account, or the kubeconfig, cannot be used
├── UnavailableError  no answer, or none that makes sense, or "later": try again
├── RefusedError      the server answered no: credentials, rights, or there is no such thing
└── ExpiredError      410: the version that a list or a watch should go on from is gone
"""

from __future__ import annotations

from lbproxy.errors import LbproxyError


class KubernetesError(LbproxyError):
    """`retry_after`: seconds that the server wants to be left alone; 0 if it does not say. It never has a token."""

    retry_after = 0.0


class AccountError(KubernetesError):
    """The text names the file, or the variable."""


class UnavailableError(KubernetesError):
    """See above."""

    def __init__(self, server: str, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{server}: {reason}")
        self.retry_after = retry_after


class RefusedError(KubernetesError):
    """`status` is that of the answer."""

    def __init__(self, server: str, status: int, reason: str) -> None:
        super().__init__(f"{server}: {reason}")
        self.status = status


class ExpiredError(KubernetesError):
    """See above."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server}: {reason}")
