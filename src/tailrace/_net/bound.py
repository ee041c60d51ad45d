"""``BoundSocket``: bound at once, not listening and not connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _runtime
from .._addr import is_ip
from .._handles import DONE
from .._handles.make import pipe, pipe_listener, tcp, tcp_listener
from .._names import Record, merge_options, node_names
from .._validate import bad_type, bad_value, check_bool, check_port, check_str
from ..errors import state_error, system_error

__all__ = ['BoundSocket']

_OPTIONS = frozenset({'host', 'ipv6_only', 'path', 'port', 'reuse_port'})


def _flag(options: Mapping[str, Any], name: str) -> bool:
    """An option that is True or False, by default False."""
    value = options.get(name)
    return False if value is None else check_bool(f'options.{name}', value)


@node_names
class BoundSocket:
    """A socket that is bound in the constructor, for ``listen()`` or for a ``Socket``.

    Options (a mapping or keywords): ``host`` (an IP address, default the unspecified one), ``port``
    (default 0: any free one), ``ipv6_only``, ``reuse_port``; or ``path``. Give it once to
    ``server.listen(bound)`` or ``Socket(handle=bound)``; from then on its methods raise
    ERR_SOCKET_HANDLE_ADOPTED. Raises at once: ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
    ERR_SOCKET_BAD_PORT, and system errors with the syscall 'bind'.
    """

    def __init__(self, options: Any = None, /, **keywords: Any) -> None:
        if options is not None and not hasattr(options, 'items'):
            bad_type('options', 'a mapping', options)
        opts = merge_options('BoundSocket', options, keywords, _OPTIONS)
        path = opts.get('path')
        runtime = _runtime.current()
        self._path: str | None = None
        if path is not None:
            for name in ('host', 'port'):
                if opts.get(name) is not None:
                    bad_value(f'options.{name}', 'left out when path is given', opts[name])
            self._path = check_str('options.path', path)
            self._handle: Any = pipe_listener(runtime)
            code = self._handle.bind_path(path)
            if code != DONE:
                raise system_error(code, 'bind', address=path)
            return
        port = opts.get('port')
        port = 0 if port is None else check_port('options.port', port)
        host = opts.get('host')
        if host is not None:
            check_str('options.host', host)
            if not is_ip(host):
                bad_value('options.host', 'an IP address: names are not resolved here', host)
        self._handle = tcp_listener(runtime)
        only, reuse = (_flag(opts, name) for name in ('ipv6_only', 'reuse_port'))
        if host is None:
            code = self._handle.bind('::', port, 6, only, reuse)
            if code != DONE and system_error(code, 'bind').code != 'EADDRINUSE':
                code = self._handle.bind('0.0.0.0', port, 4, False, reuse)
        else:
            code = self._handle.bind(host, port, is_ip(host), only, reuse)
        if code != DONE:
            raise system_error(code, 'bind', address=host, port=port)

    def _open(self) -> Any:
        if self._handle is None:
            raise state_error('ERR_SOCKET_HANDLE_ADOPTED')
        return self._handle

    @property
    def is_pipe(self) -> bool:
        """Whether it is bound to a path."""
        return self._path is not None

    def address(self) -> Any:
        """``{address, family, port}``, or the path."""
        info = self._open().get_sock_name()
        if isinstance(info, tuple):
            return Record(address=info[0], family=info[2], port=info[1])
        return self._path

    def fd(self) -> int:
        """The descriptor; it stays this object's."""
        return int(self._open().fd)

    def close(self) -> None:
        """Give the address up; no effect when closed or adopted."""
        handle = self._handle
        if handle is not None:
            handle.close()

    def adopt_listener(self) -> Any:
        """The handle, for a server; this object is used up."""
        handle = self._open()
        self._handle = None
        # It may have been bound before the loop ran, under the thread's default runtime.
        handle.move(_runtime.current())
        return handle

    def adopt_stream(self) -> Any:
        """A stream handle on the same descriptor, for a socket; this object is used up."""
        listener = self._open()
        self._handle = None
        runtime = _runtime.current()
        if not self.is_pipe:
            stream = tcp(runtime)
            stream.adopt(listener.detach())
            return stream
        pipe_stream = pipe(runtime)
        pipe_stream.adopt(listener.detach())
        pipe_stream.remove_file = listener.remove_file
        return pipe_stream

    def __enter__(self) -> BoundSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return '<BoundSocket adopted>'
        return f'<BoundSocket {self._path or self.address()}>'

    if TYPE_CHECKING:  # Node's spellings; see node_names
        isPipe = is_pipe
        adoptListener = adopt_listener
        adoptStream = adopt_stream
