"""Streams: Readable, Writable, Duplex and what combines them. See ``state.py`` for the theory.

Layers, lowest first: ``encodings`` and ``state`` → ``life`` → ``read`` → ``modes`` → ``write``
(these can be compiled) → ``readable``, ``writable``, ``duplex`` (the public classes) → ``pipe``,
``finished``, ``sources``, ``pipeline``, ``memory``. Nothing here knows a socket.
"""
