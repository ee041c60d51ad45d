"""Calls into plain options: ``connect(port, host, cb)`` and ``listen(...)`` in all their forms.

Spec rows GEN-04 to GEN-06, CN-01, CN-04, CN-18, CN-19, LS-01, LS-12, LS-24, LS-25, MF-10 to MF-15,
AM-06 to AM-08. Pure functions: what comes out has snake_case keys, and nothing was done yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .._addr.ip import is_ip
from .._coerce import NULL, to_number
from .._names import merge_options
from .._stream.stream import STREAM_OPTIONS
from .._validate import bad_type, bad_value, is_mapping

__all__ = [
    'CONNECT_OPTIONS',
    'LISTEN_OPTIONS',
    'SERVER_OPTIONS',
    'SOCKET_OPTIONS',
    'connect_call',
    'is_pipe_name',
    'listen_call',
    'server_call',
    'socket_call',
]

SOCKET_OPTIONS = STREAM_OPTIONS | {
    'block_list',
    'fd',
    'handle',
    'keep_alive',
    'keep_alive_initial_delay',
    'no_delay',
    'onread',
    'type_of_service',
}
CONNECT_OPTIONS = frozenset(
    {
        'auto_select_family',
        'auto_select_family_attempt_timeout',
        'bind_to_device',
        'block_list',
        'connect_timeout',
        'family',
        'fast_open',
        'hints',
        'host',
        'keep_alive',
        'keep_alive_initial_delay',
        'local_address',
        'local_port',
        'lookup',
        'mark',
        'no_delay',
        'path',
        'port',
        'proxy_protocol',
        'timeout',
        'transparent',
        'type_of_service',
    }
)
LISTEN_OPTIONS = frozenset(
    {
        'backlog',
        'bind_to_device',
        'defer_accept',
        'exclusive',
        'fast_open',
        'fd',
        'from_systemd',
        'group',
        'handle',
        'host',
        'ipv6_only',
        'mark',
        'mode',
        'path',
        'port',
        'readable_all',
        'reuse_port',
        'signal',
        'transparent',
        'user',
        'writable_all',
    }
)
SERVER_OPTIONS = frozenset(
    {
        'allow_half_open',
        'block_list',
        'high_water_mark',
        'keep_alive',
        'keep_alive_initial_delay',
        'linger',
        'max_accept_rate',
        'max_connections',
        'max_connections_per_address',
        'max_connections_per_network',
        'max_queued_bytes',
        'max_rate_per_address',
        'max_rate_per_network',
        'min_read_rate',
        'min_read_window',
        'no_delay',
        'on_error',
        'pause_on_connect',
        'proxy_from',
        'proxy_protocol',
        'proxy_timeout',
    }
)

_MAX_BACKLOG = 2**31 - 1

Call = tuple[dict[str, Any], Callable[..., Any] | None]


def is_pipe_name(value: Any) -> bool:
    """Whether a positional argument is a path: text that is no number."""
    return isinstance(value, str) and to_number(value) is None


def _callback(args: tuple[Any, ...], keywords: dict[str, Any], name: str) -> Any:
    """The trailing callback, or the one given by keyword."""
    given = None
    for key in (name, *_CAMEL_CALLBACKS.get(name, ())):
        if key in keywords:
            given = keywords.pop(key)
    if args and callable(args[-1]):
        return args[-1]
    return given if callable(given) else None


_CAMEL_CALLBACKS = {
    'connect_listener': ('connectListener', 'callback'),
    'connection_listener': ('connectionListener', 'callback'),
}


def socket_call(
    where: str, options: Any, keywords: dict[str, Any], known: frozenset[str] = SOCKET_OPTIONS
) -> dict[str, Any]:
    """The options of ``Socket(...)``; a plain int is a descriptor."""
    if isinstance(options, (int, float)) and not isinstance(options, bool):
        options = {'fd': options}
    elif options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    return merge_options(where, options, keywords, known)


def server_call(options: Any, listener: Any, keywords: dict[str, Any]) -> Call:
    """The options and listener of ``Server(...)``."""
    callback = _callback((listener,), keywords, 'connection_listener')
    if callable(options):
        callback, options = options, None
    elif options is not None and not is_mapping(options):
        bad_type('options', 'a mapping', options)
    return merge_options('create_server', options, keywords, SERVER_OPTIONS), callback


def connect_call(where: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Call:
    """The options and listener of ``connect(...)``, with Socket options among them."""
    keywords = dict(keywords)
    callback = _callback(args, keywords, 'connect_listener')
    mapping: Mapping[str, Any] | None = None
    if args and not callable(args[0]):
        first = args[0]
        if is_mapping(first):
            mapping = first
        elif is_pipe_name(first):
            mapping = {'path': first}
        elif isinstance(first, (str, int, float)):
            mapping = {'port': first}
            if len(args) > 1 and isinstance(args[1], str):
                mapping = {'port': first, 'host': args[1]}
        elif first is None:
            mapping = {'port': NULL}
        # Any other object is one without options, as in JavaScript.
    elif args and not keywords:
        mapping = {'port': NULL}
    return merge_options(where, mapping, keywords, SOCKET_OPTIONS | CONNECT_OPTIONS), callback


def _backlog(value: Any) -> int:
    """The option ``backlog``: a number, or text of one; 0 if not given or neither."""
    number = to_number(value) or 0
    # Node makes an int32 of it, and an infinite one 0.
    return 0 if number == math.inf else int(min(number, _MAX_BACKLOG))


def listen_call(args: tuple[Any, ...], keywords: dict[str, Any]) -> Call:
    """The options and callback of ``listen(...)``.

    A handle comes out as ``handle``, and whether a port was asked for by leaving it out as
    ``port: 0``; ``backlog`` is a number or missing.
    """
    keywords = dict(keywords)
    callback = _callback(args, keywords, 'callback')
    first = args[0] if args else None
    mapping: Mapping[str, Any] | None = None
    if is_mapping(first):
        mapping = first
    elif is_pipe_name(first):
        if is_ip(first):
            bad_value(
                'the first argument',
                f"a port or a path (write listen(PORT, '{first}'), or listen(path='./{first}') for "
                'a socket file of that name)',
                first,
            )
        mapping = {'path': first}
    elif first is not None and not callable(first) and not isinstance(first, (str, int, float)):
        if isinstance(first, (bytes, bytearray, memoryview, list, tuple)):
            bad_value('the first argument', 'a port, a path, options or a handle', args[0])
        mapping = {'handle': first}
    elif first is not None and not callable(first):
        mapping = {'port': first}
        if len(args) > 1 and isinstance(args[1], str):
            mapping = {'port': first, 'host': args[1]}
    options = merge_options('listen', mapping, keywords, LISTEN_OPTIONS)
    backlog = _backlog(options.pop('backlog', None))
    for value in args[1:3]:
        backlog = backlog or _backlog(value)
    if backlog:
        options['backlog'] = backlog
    nothing = first is None or callable(first)
    if nothing and len(args) > 1 and isinstance(args[1], str) and options.get('port') is None:
        options['port'] = 0
        options.setdefault('host', args[1])
    elif (nothing and not keywords) or ('port' in options and options['port'] is None):
        options['port'] = 0
    return options, callback
