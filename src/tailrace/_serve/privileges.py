"""Becoming another user for good, once what only root may open is open.

The order matters: the supplementary groups and the group first, because only root may change them,
then the user. This file refuses to know when.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from .._validate import bad_type, bad_value
from ..errors import state_error, system_error

__all__ = ['Identity', 'become', 'identity']

#: What setuid(2) takes; the highest value means "leave it alone".
_MOST = 2**32 - 2


class Identity(NamedTuple):
    """Whom to become; None: as it is."""

    uid: int | None
    gid: int
    #: The name whose supplementary groups are taken; None: none but ``gid``.
    name: str | None


def identity(user: Any, group: Any) -> Identity | None:
    """Look ``user`` and ``group`` up; None if neither is given.

    Raises ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for those that this system does not know, and
    ERR_FEATURE_UNAVAILABLE_ON_PLATFORM on Windows.
    """
    if user is None and group is None:
        return None
    if not hasattr(os, 'setgroups'):
        raise state_error('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'there are no users to become')
    import grp
    import pwd

    uid = gid = name = None
    if user is not None:
        entry = _entry('run_as', 'user', user, pwd.getpwnam, pwd.getpwuid)
        uid = user if entry is None else entry.pw_uid
        if entry is not None:
            gid, name = entry.pw_gid, entry.pw_name
        elif group is None:
            bad_value('run_as', 'the id of an existing user, or given with run_as_group', user)
    if group is not None:
        found = _entry('run_as_group', 'group', group, grp.getgrnam, grp.getgrgid)
        gid = group if found is None else found.gr_gid
    assert gid is not None
    return Identity(uid, gid, name)


def _entry(name: str, what: str, value: Any, by_name: Any, by_number: Any) -> Any:
    """Its entry; None for a number that has none, which is no error."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        bad_type(name, 'a name or a number', value)
    if isinstance(value, int) and not 0 <= value <= _MOST:
        bad_value(name, 'a number of the system', value)
    with contextlib.suppress(KeyError):
        return by_name(value) if isinstance(value, str) else by_number(value)
    if isinstance(value, str):
        bad_value(name, f'the name or id of an existing {what}', value)
    return None


def become(who: Identity) -> None:
    """Take the identity on, for good; nothing happens if this is it already.

    Raises the system's error, with the call as ``syscall``: EPERM where this process may not.
    """
    if _is(who):
        return
    if who.name is not None:
        _call('initgroups', os.initgroups, who.name, who.gid)
    else:
        _call('setgroups', os.setgroups, [who.gid])
    _call('setgid', os.setgid, who.gid)
    if who.uid is not None:
        # As root it sets the real, the effective and the saved id: there is no way back.
        _call('setuid', os.setuid, who.uid)


def _is(who: Identity) -> bool:
    uid = os.geteuid() if who.uid is None else who.uid
    if {os.getuid(), os.geteuid()} != {uid} or {os.getgid(), os.getegid()} != {who.gid}:
        return False
    # Root with the groups of somebody else is not there yet.
    return uid != 0 or who.uid is None or who.name is None or _groups_of(who) == _own_groups()


def _groups_of(who: Identity) -> set[int]:
    return set(os.getgrouplist(who.name or '', who.gid))


def _own_groups() -> set[int]:
    return {os.getgid(), *os.getgroups()}


def _call(name: str, function: Any, *args: Any) -> None:
    try:
        function(*args)
    except OSError as error:
        raise system_error(error.errno or 0, name) from None
