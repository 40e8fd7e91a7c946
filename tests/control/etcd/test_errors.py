from __future__ import annotations

from lbproxy.control.etcd.errors import CompactedError, EtcdRefusedError, EtcdUnavailableError
from lbproxy.errors import LbproxyError


def test_each_names_the_endpoint_and_the_reason() -> None:
    found = [
        EtcdUnavailableError("http://10.0.0.21:2379", "connection refused"),
        EtcdRefusedError("http://10.0.0.21:2379", "permission denied", 7),
        CompactedError("http://10.0.0.21:2379", 12),
    ]
    assert [str(error) for error in found] == [
        "etcd http://10.0.0.21:2379: connection refused",
        "etcd http://10.0.0.21:2379: permission denied",
        "etcd http://10.0.0.21:2379: history before revision 12 was compacted",
    ]
    assert all(isinstance(error, LbproxyError) for error in found)
