"""Every target, or those that are named, for some seconds each."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import corpus, seeds
from tests.fuzz.targets import TARGETS

LARGEST = 1024  # bytes of an input that is kept
CORPUS = Path("tests/fuzz/corpus")  # of the working directory: what runs with sanitizers is a copy
FINDINGS = Path("build/fuzz")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=list(TARGETS), help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=8, help="for each target (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="add what is new to tests/fuzz/corpus")
    parser.add_argument("--input", metavar="FILE", help="only try one input again, such as one in build/fuzz")
    given = parser.parse_args()
    if unknown := sorted(set(given.targets) - set(TARGETS)):
        parser.error(f"no target is called {unknown[0]!r}: there are {', '.join(TARGETS)}")
    FINDINGS.mkdir(parents=True, exist_ok=True)
    if given.input:
        runs = [_libfuzzer(name, given.input) for name in given.targets]
        print("".join(run.stdout for run in runs), end="")
        sys.exit(any(run.returncode for run in runs))
    failed = [name for name in given.targets if not fuzzed(name, given.seconds, given.keep)]
    sys.exit(f"fuzz: {', '.join(failed)}: an input breaks a rule; it is in {FINDINGS}/" if failed else 0)


def fuzzed(name: str, seconds: int, keep: bool) -> bool:
    """Whether a target held for so many seconds. What libFuzzer says is shown when it did not."""
    with tempfile.TemporaryDirectory() as folder:
        known, fresh = Path(folder, "known"), Path(folder, "new")
        for place in (known, fresh):
            place.mkdir()
        for number, data in enumerate([*seeds(name), *corpus(name)]):
            (known / f"{number}").write_bytes(data)
        run = _libfuzzer(name, f"-max_total_time={seconds}", f"-max_len={LARGEST * 4}", str(fresh), str(known))
        print(f"{name:14} {_summary(run)}", flush=True)
        if run.returncode:
            print(run.stdout, end="")
            return False
        if keep:
            _keep(name, known, fresh)
    return True


def _libfuzzer(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of libFuzzer, with what it says."""
    program = FINDINGS / f"{name}.sh"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz.one {name} "$0" "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        [f"./{program}", "-timeout=20", f"-artifact_prefix={FINDINGS}/{name}-", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _summary(run: subprocess.CompletedProcess[str]) -> str:
    """libFuzzer's last words on a run: how much of the code was seen, and in how many runs."""
    done = [line for line in run.stdout.splitlines() if "\tDONE " in line or line.startswith("Done ")]
    return " ".join(" ".join(done).split()) or "failed"


def _keep(name: str, known: Path, fresh: Path) -> None:
    """Adds to the corpus what sees code that the seeds and the corpus do not: the smallest inputs that do."""
    place = CORPUS / name
    place.mkdir(parents=True, exist_ok=True)
    before = set(known.iterdir())
    _libfuzzer(name, "-merge=1", str(known), str(fresh))
    for path in sorted(set(known.iterdir()) - before):
        if path.stat().st_size <= LARGEST:
            path.replace(place / path.name[:16])


main()
