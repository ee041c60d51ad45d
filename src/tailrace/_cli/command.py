"""Which command runs, and how it ends: exit statuses and errors in one line.

0: done. 1: it failed, and one line on stderr says why. 2: the command line is wrong. 141: whatever
read the output has closed it. SIGINT ends a command as it ends any program (130 in a shell).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..errors import NodeError
from .console import NO_READER

__all__ = ['COMMANDS', 'main']


def _connect() -> ModuleType:
    from . import connect

    return connect


def _listen() -> ModuleType:
    from . import listen

    return listen


def _echo() -> ModuleType:
    from . import echo

    return echo


def _proxy() -> ModuleType:
    from . import proxy

    return proxy


def _check() -> ModuleType:
    from . import check

    return check


#: A module for each, with ``parser()`` and the coroutine function ``command(options)``.
COMMANDS: dict[str, Callable[[], ModuleType]] = {
    'connect': _connect,
    'listen': _listen,
    'echo': _echo,
    'proxy': _proxy,
    'check': _check,
}


def main(name: str, words: Sequence[str], run: Callable[[Any], Any]) -> int:
    """Run the command ``name`` with its arguments under ``run``; the exit status."""
    module = COMMANDS[name]()
    options = module.parser().parse(words)
    try:
        return int(run(module.command(options)))
    except BrokenPipeError as error:
        # A line that was printed, unless a socket says it: those have the fields of Node's errors.
        if isinstance(error, NodeError):
            return _failed(name, error)
        _leave_output()
        return NO_READER
    except (NodeError, OSError) as error:
        return _failed(name, error)


def _failed(name: str, error: BaseException) -> int:
    text = ' '.join(str(error).split()) or type(error).__name__
    code = getattr(error, 'code', None)
    if isinstance(code, str) and code not in text:
        text += f' ({code})'
    print(f'tailrace {name}: {text}', file=sys.stderr)
    return 1


def _leave_output() -> None:
    """Let the interpreter's last flush of stdout go nowhere: it would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
