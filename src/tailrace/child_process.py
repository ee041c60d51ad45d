"""Node's ``child_process.fork``: a child Python with a message channel.

``from tailrace import child_process``; the child's side is :mod:`tailrace.process`.
"""

import typing as _typing

from ._cluster.child import ChildProcess, fork
from ._names import module_names as _module_names

__all__ = ['ChildProcess', 'fork']

if not _typing.TYPE_CHECKING:
    # Node's spellings; a type checker would take every name for one.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
