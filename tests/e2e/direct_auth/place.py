"""The files that every instance of a service reads, where the user that Apache becomes can read them too."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..client import HOST

NTLM_DOMAIN = "CORP"


@dataclass(frozen=True)
class Place:
    """A directory with the realm's krb5.conf, the service's keytab and the NTLM users' passwords."""

    directory: Path
    service_keytab: Path

    @classmethod
    def prepare(cls, directory: Path, krb5_conf: Path, keytab: Path, passwords: Mapping[str, str]) -> Place:
        """`keytab` holds the key of HTTP/`HOST`; `passwords` are those of NTLM users by name.

        The keys are a throwaway realm's, and the directory goes with the test: that all may read them does no harm.
        """
        directory.chmod(0o755)
        shutil.copyfile(krb5_conf, directory / "krb5.conf")
        lines = (f"{NTLM_DOMAIN}:{name}:{password}\n" for name, password in passwords.items())
        (directory / "ntlm-users").write_text("".join(lines))
        (directory / "replay").mkdir()
        (directory / "replay").chmod(0o777)
        return cls(directory, keytab)

    def keytab(self, name: str, source: Path | None = None) -> Path:
        """Give the instance `name` a keytab of its own: a copy of `source`, else of the service's."""
        path = self.directory / f"{name}.keytab"
        shutil.copyfile(source or self.service_keytab, path)
        return path

    def environment(self, name: str) -> dict[str, str]:
        """That of the instance `name`: its replay cache is its own, as if it were on a machine of its own."""
        return {
            "KRB5_CONFIG": str(self.directory / "krb5.conf"),
            "KRB5_KTNAME": str(self.keytab(name)),
            "KRB5RCACHENAME": f"file2:{self.directory}/replay/{name}",
            "NTLM_USER_FILE": str(self.directory / "ntlm-users"),
        }


SERVICE = f"HTTP/{HOST}"
"""The service principal that all instances share: HTTP and the name that users know (RFC 4559 section 4.1)."""
