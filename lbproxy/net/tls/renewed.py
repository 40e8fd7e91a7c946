"""What is made of files that an administrator renews while lbproxy runs."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from lbproxy.net.tls.files import Refused, Watch

_log = logging.getLogger(__name__)

_Loaded = TypeVar("_Loaded")


class Renewed(ABC, Generic[_Loaded]):
    """What `_load` makes of some files, and makes anew when one of them changes.

    Files that cannot be used leave what is there in place, and that is logged: a renewal that goes wrong must not end
    the service before the certificate that is in use expires. `refused` says so while it is the case.
    """

    def __init__(self, paths: Iterable[Path], named_after: Path | None) -> None:
        """named_after: the file that the log names. Raises ValueError, which names the file that cannot be used."""
        self._named_after = named_after
        self._watch = Watch(paths)
        self._loaded = self._load()
        self.refused: Refused | None = None

    @abstractmethod
    def _load(self) -> _Loaded:
        """Raises ValueError, which names the file that cannot be used, or OSError."""

    def refresh(self) -> bool:
        """Look at the files; True when what they hold now is used from now on."""
        return self._watch.changed() and self._renew()

    def _renew(self) -> bool:
        try:
            self._loaded = self._load()
        except (OSError, ValueError) as error:  # what cryptography reads, OpenSSL may refuse
            self.refused = Refused(str(error), self.refused.since if self.refused else time.time())
            _log.error("certificate_kept", extra={"fields": {"certificate": self._named_after, "error": error}})
            return False
        self.refused = None
        _log.info("certificate_loaded", extra={"fields": {"certificate": self._named_after}})
        return True
