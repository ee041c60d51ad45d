"""Node's ``cluster``: one server in several processes.

::

    from tailrace import cluster, net

    if cluster.is_primary:
        for _ in range(4):
            cluster.fork()
    else:
        net.create_server(lambda sock: sock.resume().end('hello')).listen(8000)

Run with ``python -m tailrace script.py``, or end the script with ``tailrace.run()``. Servers of
workers that listen on the same address share its connections: in turn by default. There are also
``settings``, ``workers``, ``worker``, ``is_primary``, ``is_worker`` and ``scheduling_policy``.
"""

import typing as _typing

from ._cluster.face import face as _face
from ._cluster.primary import SCHED_NONE, SCHED_REUSEPORT, SCHED_RR
from ._cluster.serve import serve
from ._cluster.state import cluster as _cluster
from ._cluster.worker import Worker
from ._names import module_names as _module_names

_Function = _typing.Callable[..., _typing.Any]

add_listener: _Function = _cluster.add_listener
emit: _Function = _cluster.emit
listener_count: _Function = _cluster.listener_count
off: _Function = _cluster.off
on: _Function = _cluster.on
once: _Function = _cluster.once
remove_all_listeners: _Function = _cluster.remove_all_listeners
remove_listener: _Function = _cluster.remove_listener
disconnect: _Function = _cluster.disconnect
fork: _Function = _cluster.fork
setup_primary: _Function = _cluster.setup_primary

__all__ = [
    'SCHED_NONE',
    'SCHED_REUSEPORT',
    'SCHED_RR',
    'Worker',
    'add_listener',
    'disconnect',
    'emit',
    'fork',
    'listener_count',
    'off',
    'on',
    'once',
    'remove_all_listeners',
    'remove_listener',
    'serve',
    'setup_primary',
]

if _typing.TYPE_CHECKING:
    is_primary: bool
    is_worker: bool
    scheduling_policy: int
    settings: dict[str, _typing.Any]
    worker: Worker | None
    workers: dict[int, Worker]
    # Node's spellings
    addListener = add_listener
    listenerCount = listener_count
    removeAllListeners = remove_all_listeners
    removeListener = remove_listener
    setupPrimary = setup_primary
else:
    # One mechanism for all; a type checker would take every name for one of these.
    __getattr__, __dir__ = _module_names(__name__, __all__, globals())
_face(
    __name__,
    _cluster,
    ('is_primary', 'is_worker', 'scheduling_policy', 'settings', 'worker', 'workers'),
)
