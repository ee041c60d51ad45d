"""Sockets and servers: what users see, on top of streams and handles.

Nothing here knows epoll or an errno's number. ``options`` turns calls into plain dicts;
``socket`` and ``server`` are the public classes; ``connecting``, ``listening``, ``idle``,
``bound`` and ``channels`` are what they are made of.
"""
