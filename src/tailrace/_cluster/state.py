"""Which side of a cluster this process is, decided once, when it is first asked for."""

from __future__ import annotations

import os
import sys

from .inside import Inside
from .primary import SCHED_NONE, SCHED_REUSEPORT, SCHED_RR, UNIQUE_ID, Primary
from .process import process

__all__ = ['cluster']

_POLICIES = {'rr': SCHED_RR, 'none': SCHED_NONE, 'reuseport': SCHED_REUSEPORT}


def _policy() -> int:
    """CL-09: round robin, except on Windows; the environment variable decides."""
    default = SCHED_NONE if sys.platform == 'win32' else SCHED_RR
    return _POLICIES.get(os.environ.get('TAILRACE_CLUSTER_SCHED_POLICY', ''), default)


def _make() -> Primary | Inside:
    number = os.environ.pop(UNIQUE_ID, '')
    if number.isdecimal() and process.connected:
        return Inside(int(number), process, _policy())
    return Primary(_policy())


#: The primary's side or the worker's.
cluster = _make()
