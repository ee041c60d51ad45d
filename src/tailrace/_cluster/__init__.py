"""Several processes: child processes with a message channel, and one server in many processes.

``ipc.py`` is the wire, ``talk.py`` and ``passing.py`` what a program says over it, ``child.py`` and
``process.py`` its two ends. On them stand ``primary.py`` with ``round_robin.py`` and ``places.py``,
the worker's side in ``inside.py`` with ``worker_handles.py``, and the supervisor of ``serve.py``.
This layer knows servers, handles and descriptors; it refuses to know the inside of streams.
"""
