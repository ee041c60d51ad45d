"""The child's side of a message channel: ``process.send``, ``process.on('message', ...)``.

In a process that ``child_process.fork`` or ``cluster.fork`` has started, ``process.connected`` is
True until the channel is closed. ``process.pid`` and ``process.channel`` are there too.
"""

import typing as _typing

from ._cluster.face import face as _face
from ._cluster.process import Process
from ._cluster.process import process as _process
from ._names import module_names as _module_names

_Function = _typing.Callable[..., _typing.Any]

add_listener: _Function = _process.add_listener
disconnect: _Function = _process.disconnect
emit: _Function = _process.emit
listener_count: _Function = _process.listener_count
off: _Function = _process.off
on: _Function = _process.on
once: _Function = _process.once
remove_all_listeners: _Function = _process.remove_all_listeners
remove_listener: _Function = _process.remove_listener
send: _Function = _process.send

__all__ = [
    'Process',
    'add_listener',
    'disconnect',
    'emit',
    'listener_count',
    'off',
    'on',
    'once',
    'remove_all_listeners',
    'remove_listener',
    'send',
]

if _typing.TYPE_CHECKING:
    channel: _typing.Any
    connected: bool
    pid: int
    # Node's spellings
    addListener = add_listener
    listenerCount = listener_count
    removeAllListeners = remove_all_listeners
    removeListener = remove_listener
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
_face(__name__, _process, ('channel', 'connected', 'pid'))
