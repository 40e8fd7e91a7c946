"""The account that lbproxy serves as: it begins as root, and goes on with fewer rights, for good.

The master keeps its account, because a reload may want another low port; it reads nothing of any client. A
generation becomes the account once it has read the configuration, before it opens any file that is named there and
before it has a socket, a thread or a worker. So what it may open then is what it may open when a file is renewed.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import lbproxy
from lbproxy.config import Config
from lbproxy.errors import Problem, StartError
from lbproxy.preflight import Report
from lbproxy.process.master.listening_sockets import MAKER, Owner

_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)


class Account(NamedTuple):
    """`user` is its name; `gid` the group that its files get, which need not be the first of `groups`."""

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]


class _Unfit(Exception):
    """The configuration names an account that cannot be used."""

    def __init__(self, key: str, text: str) -> None:
        self.problem = Problem(key, text)


def assume(config: Config, report: Report) -> None:
    """Become the account that `config` names, if it does; why that cannot be is a problem in `report`.

    Raises StartError if root's rights could be had back.
    """
    if config.user is None:
        return
    try:
        account = _find(config.user, config.group)
        if os.geteuid() == 0:
            _become(account)
            _check_program(account)
        else:
            _stay(account)
    except _Unfit as error:
        report.problems.append(error.problem)


def can_assume(config: Config) -> bool:
    """Whether this process could be that account: it is root, or it is the account already."""
    if config.user is None or os.geteuid() == 0:
        return True
    with suppress(KeyError, ValueError):
        return pwd.getpwnam(config.user).pw_uid == os.geteuid()
    return True  # there is none, which `assume` says


def account_of(user: str, group: str | None = None, supplementary: Iterable[str] = ()) -> Account:
    """The account that a service manager gives a service: names or numbers, root too. Raises StartError."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, ValueError, OverflowError):
        raise StartError(f"this machine has no user {user!r}") from None
    gid = entry.pw_gid if group is None else _gid(group)
    groups = (*os.getgrouplist(entry.pw_name, gid), *map(_gid, supplementary))
    return Account(entry.pw_name, entry.pw_uid, gid, tuple(dict.fromkeys(groups)))


def _gid(group: str) -> int:
    try:
        return (grp.getgrgid(int(group)) if group.isdecimal() else grp.getgrnam(group)).gr_gid
    except (KeyError, ValueError, OverflowError):
        raise StartError(f"this machine has no group {group!r}") from None


def become(account: Account) -> None:
    """Become any account for good, if this process is not it already. Raises StartError."""
    try:
        if os.geteuid() != 0:
            _stay(account)
        elif account.uid != 0:
            _become(account)
    except _Unfit as error:
        raise StartError(error.problem.text) from None


def owner(config: Config) -> Owner:
    """Whose Unix sockets have to become, to be told by a process that is the account already."""
    return MAKER if config.user is None else Owner(os.geteuid(), os.getegid())


def _find(user: str, group: str | None) -> Account:
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):  # the latter for a NUL in it
        raise _Unfit("user", f"this machine has no user {user!r}") from None
    if entry.pw_uid == 0:
        raise _Unfit("user", f"{user!r} has the rights of root, of which lbproxy is to be rid")
    try:
        gid = entry.pw_gid if group is None else grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise _Unfit("group", f"this machine has no group {group!r}") from None
    return Account(user, entry.pw_uid, gid, tuple(os.getgrouplist(user, gid)))


def _stay(account: Account) -> None:
    if os.geteuid() != account.uid:
        raise _Unfit("user", f"only root can become {account.user!r}, and lbproxy was started as user {os.geteuid()}")
    if os.getegid() != account.gid:
        raise _Unfit("group", f"only root can change the group, and lbproxy was started with group {os.getegid()}")


def _become(account: Account) -> None:
    import ctypes  # memory that is not needed where no user is named, and a file that only root may read, perhaps

    libc = ctypes.CDLL(None)
    try:
        os.setgroups(account.groups)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    except OSError as error:  # a container whose root lacks CAP_SETUID or CAP_SETGID
        raise _Unfit("user", f"cannot become {account.user!r}: {error.strerror}") from None
    # No program that is started from here can gain rights either, by a set-user-ID bit.
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with suppress(PermissionError):
        os.setresuid(0, 0, 0)
        raise StartError(f"user: {account.user!r} can become root again; see capabilities(7), securebits")


def _check_program(account: Account) -> None:
    for module in (lbproxy, os):  # what is seldom needed is loaded when it is
        if not os.access(str(module.__file__), os.R_OK):
            raise _Unfit("user", f"{account.user!r} may not read the program that it runs, {module.__file__}")
