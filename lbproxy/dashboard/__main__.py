"""`python -m lbproxy.dashboard DESCRIPTOR`: the process of [admin.web]; see `web`."""

import asyncio
import signal
import sys

from lbproxy.control import log
from lbproxy.errors import LbproxyError, MissingExtraError

try:
    from lbproxy.dashboard.web import run
except ModuleNotFoundError as error:  # uninstalled since `lbproxy check` looked
    sys.exit(f"lbproxy: error: admin.web: {MissingExtraError('the dashboard', 'dashboard')} ({error.name})")

if __name__ == "__main__":
    for theirs in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        signal.signal(theirs, signal.SIG_IGN)  # the generation's, which ends this process by its standard input
    handler = log.setup()
    try:
        asyncio.run(run(int(sys.argv[1])))
    except (LbproxyError, ValueError) as error:
        sys.exit(f"lbproxy: error: admin.web: {error}")
    finally:
        handler.close()
