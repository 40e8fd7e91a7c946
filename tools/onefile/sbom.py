"""The SBOM (CycloneDX) of the one-file program: its Python packages, and what it has of Debian.

    python3 sbom.py PACKAGES FOLDER >SBOM

PACKAGES is the SBOM of the Python packages, FOLDER what PyInstaller has put together on this host.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from platform import freedesktop_os_release
from typing import Any
from urllib.parse import quote

VERSION = ".".join(str(part) for part in sys.version_info[:2])
ALWAYS = (
    f"/usr/bin/python{VERSION}",
    f"/usr/lib/python{VERSION}/os.py",
    f"/usr/lib/python{VERSION}/asyncio/__init__.py",
    "*/libc.a",  # the launcher has these two
    "*/libzstd.a",
)
"""Files that its Debian packages are known by, beside shared libraries."""


def shared_libraries(folder: Path) -> set[str]:
    """The files of `folder` that are Debian's, as patterns of dpkg. What Python packages bring is in their folders."""
    internal = folder / "_internal"
    own = {f"*-linux-gnu/{path.name}" for path in internal.glob("*.so*")}
    return own | {f"*/lib-dynload/{path.name}" for path in internal.rglob("lib-dynload/*.so")}


def owners(patterns: Iterable[str]) -> set[str]:
    """The names of Debian's packages that have such files."""
    asked = ["dpkg-query", "--search", *sorted(patterns)]
    found = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    names = [line.partition(": ")[0] for line in found.splitlines() if not line.startswith("diversion")]
    return {name for line in names for name in line.split(", ")}


def component(name: str) -> dict[str, str]:
    """As CycloneDX 1.x has it, with the purl of an installed package."""
    asked = ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}", name]
    package, version, architecture = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    distribution = freedesktop_os_release()["VERSION_CODENAME"]
    purl = f"pkg:deb/debian/{package}@{quote(version, safe='~')}?arch={architecture}&distro={distribution}"
    return {"bom-ref": purl, "name": package, "purl": purl, "type": "library", "version": version}


def with_debian(packages: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = [component(name) for name in sorted(owners({*shared_libraries(folder), *ALWAYS}))]
    return packages | {"components": [*packages["components"], *found]}


if __name__ == "__main__":
    print(json.dumps(with_debian(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])), indent=2))
