"""The child's side of a message channel: ``process.send``, ``process.on('message', ...)``.

In a process that ``child_process.fork`` or ``cluster.fork`` has started, ``process.connected`` is
True until the channel is closed. ``process.pid`` and ``process.channel`` are there too.
"""

from ._cluster.face import face as _face
from ._cluster.process import Process
from ._cluster.process import process as _process
from ._names import module_names as _module_names

add_listener = _process.add_listener
disconnect = _process.disconnect
emit = _process.emit
listener_count = _process.listener_count
off = _process.off
on = _process.on
once = _process.once
remove_all_listeners = _process.remove_all_listeners
remove_listener = _process.remove_listener
send = _process.send

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

__getattr__, __dir__ = _module_names(__name__, __all__, globals())
_face(__name__, _process, ('channel', 'connected', 'pid'))
