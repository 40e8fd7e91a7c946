"""The backends' ports from elsewhere: this host, which they let in, cannot see whether they let others in too."""

from __future__ import annotations

from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.elsewhere import WHY_PAST as WHY
from lbproxy.doctor.finding import Found, UnseenError, unseen

__all__ = ["WHY", "from_elsewhere"]


async def from_elsewhere(sight: Sight) -> Found:
    """What to run on a host that is no balancer's."""
    try:
        urls = [backend["url"] for pool in (await sight.status())["pools"] for backend in pool["backends"]]
    except UnseenError:
        urls = [backend.url for pool in sight.config.pools.values() for backend in pool.backends]
    options = "".join(f" --from-elsewhere {url}" for url in dict.fromkeys(urls))
    command = f"on another host: lbproxy doctor --server-url {sight.config.server_url}{options}"
    return [unseen("whether others than balancers reach the backends is not seen from here", command)]
