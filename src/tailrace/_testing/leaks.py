"""What a test has left open: descriptors and threads that were not there when it began."""

from __future__ import annotations

import gc
import os
import sys
import threading

import pytest

__all__ = ['Before']

#: Seconds that an ending thread is waited for.
THREAD_PATIENCE = 2.0


class Before:
    """What was open when the test began."""

    def __init__(self) -> None:
        self.descriptors = _descriptors()
        self.threads = set(threading.enumerate())

    def compare(self) -> None:
        """Fail for what has been added and is still there."""
        gc.collect()
        left: list[str] = []
        for thread in set(threading.enumerate()) - self.threads:
            thread.join(THREAD_PATIENCE)
            if thread.is_alive():
                left.append(f'thread {thread.name}')
        for fd, identity in _descriptors().items():
            if self.descriptors.get(fd) != identity:
                left.append(f'descriptor {fd} ({_target(fd)})')
        if left:
            pytest.fail(f'left behind: {"; ".join(left)}', pytrace=False)


def _descriptors() -> dict[int, tuple[int, int]]:
    """Open descriptors and what they stand for: {fd: (device, inode)}."""
    folder = '/proc/self/fd' if sys.platform == 'linux' else '/dev/fd'
    out: dict[int, tuple[int, int]] = {}
    try:
        names = os.listdir(folder)
    except OSError:  # a system that does not list them
        return out
    for name in names:
        try:
            status = os.fstat(int(name))
        except OSError:  # the one that listed the folder
            continue
        out[int(name)] = (status.st_dev, status.st_ino)
    return out


def _target(fd: int) -> str:
    try:
        return os.readlink(f'/proc/self/fd/{fd}')
    except OSError:
        return 'closed meanwhile, or unknown'
