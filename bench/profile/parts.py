"""Samples, summed up by what they say: which function or system call, and the group that it belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from bench.profile.samples import Frame, Sample

KERNEL = "kernel"
DATA_PATH = "data path"
PYTHON = "Python"
LIBC = "libc"
TLS = "TLS"
LOOP = "uvloop"

_FILES = (
    (re.compile(r"/lbproxy/.*\.so$"), DATA_PATH),
    (re.compile(r"/(libssl|libcrypto|_ssl)[^/]*$"), TLS),
    (re.compile(r"/uvloop/"), LOOP),
    (re.compile(r"/(libpython3|python3[.\d]*$|lib-dynload/)"), PYTHON),
    (re.compile(r"/(libc|libm|libpthread|ld-linux[^/]*)\.[^/]*$|^\[vdso\]$"), LIBC),
)
"""Files by their path, the first that fits; another file is a group by its own name."""

_DISPATCHERS = {"do_syscall_64", "x64_sys_call", "invoke_syscall"}  # of x86-64 and of arm64
_CALL = re.compile(r"^(__(x64|arm64)_sys_|__sys_|ksys_|do_)")  # what the kernel has before a system call's name
_CYTHON = re.compile(r"^__pyx_(?:f|pf|pw|tp_[a-z_]+)_(?=\d)")
_OUTER = re.compile(r"(\d+)")  # the length of a package's, module's or class's name


@dataclass(frozen=True, slots=True)
class Part:
    """`share` of all samples, from 0 to 1."""

    group: str
    name: str
    share: float


def parts(found: Iterable[Sample]) -> list[Part]:
    """The parts, the largest first; none without samples."""
    weights: Counter[tuple[str, str]] = Counter()
    for sample in found:
        weights[_group(sample.frames[0]), _name(sample.frames)] += sample.weight
    total = weights.total()
    return [Part(group, name, weight / total) for (group, name), weight in weights.most_common()]


def groups(found: Iterable[Part]) -> dict[str, float]:
    """The share of each group, the largest first."""
    shares: dict[str, float] = {}
    for part in found:
        shares[part.group] = shares.get(part.group, 0.0) + part.share
    return dict(sorted(shares.items(), key=lambda item: item[1], reverse=True))


def readable(symbol: str) -> str:
    """The dotted name that Cython made a C function of, without the package; any other symbol as it is.

    `__pyx_f_7lbproxy_4wire_5heads_4Head_special` -> `heads.Head.special`
    """
    prefix = _CYTHON.match(symbol)
    if prefix is None:
        return symbol
    names, rest = list[str](), symbol[prefix.end() :]
    while outer := _OUTER.match(rest):
        end = outer.end() + int(outer[1])
        if rest[end : end + 1] != "_" or rest[outer.end()] == "_":
            break  # the number is not a length but that of a method among its class's
        names.append(rest[outer.end() : end])
        rest = rest[end + 1 :]
    return ".".join([*names[2:], rest.lstrip("0123456789")])


def _group(frame: Frame) -> str:
    if _in_kernel(frame):
        return KERNEL
    return next((group for pattern, group in _FILES if pattern.search(frame.file)), PurePath(frame.file).name)


def _name(frames: tuple[Frame, ...]) -> str:
    """In the kernel, why it was entered; elsewhere the function."""
    if not _in_kernel(frames[0]):
        return readable(frames[0].symbol)
    entered = [frame.symbol for frame in frames if _in_kernel(frame)]
    if any("page_fault" in symbol for symbol in entered):
        return "page faults"
    for called, caller in pairwise(entered):
        if caller in _DISPATCHERS and called not in _DISPATCHERS:
            return _CALL.sub("", called)
    return "entry and exit, interrupts"


def _in_kernel(frame: Frame) -> bool:
    return frame.file.startswith("[") and frame.file not in {"[vdso]", "[unknown]", "[heap]", "[stack]"}
