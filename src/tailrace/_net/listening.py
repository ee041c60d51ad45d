"""From the options of ``listen()`` to a listening handle.

This file decides what to bind and which error to report; it refuses to know what becomes of the
connections. Everything that can be told from the arguments is raised at once; what the system
says comes as 'error' on a later tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _runtime
from .._abort import check_signal
from .._addr import is_ip
from .._coerce import absent
from .._dns.resolve import Resolution, entries
from .._handles import DONE, ListenHandle
from .._handles.facts import set_owner
from .._handles.make import open_listener, pipe_listener, tcp_listener
from .._handles.prepared import PreparedListener
from .._validate import bad_value, check_int, check_port, check_str
from ..errors import InvalidIPAddressError, NodeOSError, system_error
from .bound import BoundSocket
from .early import check_early, check_owner
from .options import is_pipe_name

__all__ = ['Listening', 'set_share']

#: Not 512: Linux rounds the queue up to the next power of two.
DEFAULT_BACKLOG = 511


#: Asks for a listening handle: ``share(server, what, done)``; see :func:`set_share`.
Share = Callable[[Any, dict[str, Any], Callable[[int, ListenHandle | None], object]], object]
_share: Share | None = None


def set_share(share: Share | None) -> None:
    """Let servers that do not ask for ``exclusive`` or ``reuse_port`` ask ``share`` for a handle.

    The one seam for cluster workers. ``what`` has ``address`` (None: any), ``port`` (-1 for
    a path), ``family`` (4, 6, or -1 for a path), ``backlog``, ``ipv6_only``, ``mode`` (bits for the
    socket file), and ``fd`` or None. ``done(errno, handle)`` is called later, once.
    """
    global _share
    _share = share


class Listening:
    """One call of ``listen()``."""

    def __init__(self, server: Any, options: dict[str, Any]) -> None:
        self._server = server
        self._options = options
        self._runtime = _runtime.current()
        self._backlog: int = options.get('backlog') or DEFAULT_BACKLOG
        self._request: Any = None
        self._cancelled = False
        self._unfollow: Callable[[], object] | None = None
        self._early = check_early(options, True)

    def start(self) -> None:
        """Raise what is wrong with the arguments, or listen now or after a lookup."""
        options = self._options
        handle = options.get('handle')
        fd = options.get('fd')
        if not absent(options.get('from_systemd')):
            taken = self._from_manager(options['from_systemd'])
            fd = fd if taken is None else taken
        if handle is not None and options.get('port') is None and options.get('path') is None:
            self._follow_signal()
            self._listen_on(self._given(handle))
        elif isinstance(fd, (int, float)) and not isinstance(fd, bool) and fd >= 0:
            self._follow_signal()
            if isinstance(fd, int) and fd < 2**31:
                self._listen_on_fd(fd)
            else:
                self._fail('EINVAL', None, None)
        elif _is_port(options.get('port')):
            port = check_port('options.port', options['port'])
            self._follow_signal()
            host = options.get('host')
            if not absent(host):
                self._look_up(check_str('options.host', host), port)
            else:
                self._listen_anywhere(port)
        elif is_pipe_name(options.get('path')):
            self._listen_on_path(options['path'])
        else:
            given = {name: value for name, value in options.items() if value is not None}
            bad_value('options', 'given with a usable port, path, handle or fd', given)

    def cancel(self) -> None:
        """The server was closed, or listens elsewhere: a lookup under way comes to nothing."""
        self._cancelled = True
        request, self._request = self._request, None
        if request is not None:
            request.abandon()

    def _from_manager(self, name: Any) -> int | None:
        """The descriptor of a socket that the service manager has opened; None: there is none."""
        from .._systemd import take_fd

        if name is not True:
            check_str('options.from_systemd', name)
        # In a cluster worker the primary has it, and is asked for it by its number.
        of_parent = _share is not None and not self._options.get('exclusive')
        return take_fd(None if name is True else name, of_parent)

    # -- what is bound ----------------------------------------------------------------------------

    def _given(self, handle: Any) -> ListenHandle | int:
        if isinstance(handle, BoundSocket):
            listener: ListenHandle = handle.adopt_listener()
            return listener
        if hasattr(handle, 'on_connection'):
            return handle  # type: ignore[no-any-return]
        # Another server: both accept from one queue, each with a descriptor of its own.
        fd = getattr(getattr(handle, '_handle', None) or handle, 'fd', None)
        if fd is None and hasattr(handle, 'fileno'):
            fd = handle.fileno()
        if not isinstance(fd, int) or isinstance(fd, bool):
            bad_value(
                'handle', 'a server, socket, BoundSocket or something with a descriptor', handle
            )
        return open_listener(self._runtime, fd, True)

    def _listen_on_fd(self, fd: int) -> None:
        """LS-11: the descriptor itself becomes the server's."""
        if self._shared(None, -1, 4, fd=fd):
            return
        self._listen_on(open_listener(self._runtime, fd, False))

    def _listen_anywhere(self, port: int) -> None:
        """LS-25, PF-03: one dual-stack socket, or IPv4 where there is no IPv6."""
        if self._shared(None, port, 4):
            return
        handle = self._tcp_listener()
        only = bool(self._options.get('ipv6_only'))
        reuse = bool(self._options.get('reuse_port'))
        code = handle.bind('::', port, 6, only, reuse)
        address = '::'
        if code != DONE and system_error(code, 'bind').code not in ('EADDRINUSE', 'EACCES'):
            address = '0.0.0.0'
            code = handle.bind(address, port, 4, False, reuse)
        if code != DONE:
            self._fail(code, address, port)
            return
        self._listen_on(handle, address, port)

    def _listen_on_address(self, address: str, port: int, family: int) -> None:
        if self._shared(address, port, family):
            return
        handle = self._tcp_listener()
        only = bool(self._options.get('ipv6_only'))
        code = handle.bind(address, port, family, only, bool(self._options.get('reuse_port')))
        if code != DONE:
            self._fail(code, address, port)
            return
        self._listen_on(handle, address, port)

    def _tcp_listener(self) -> ListenHandle:
        if self._early is not None:
            return PreparedListener(self._runtime, self._early)
        return tcp_listener(self._runtime)

    def _listen_on_path(self, path: str) -> None:
        options = self._options
        if self._early is not None:
            bad_value('options', 'without options of TCP for a path', options)
        uid, gid = check_owner(options)
        bits = (0o444 if options.get('readable_all') is True else 0) | (
            0o222 if options.get('writable_all') is True else 0
        )
        exact = options.get('mode')
        if exact is not None:
            bits = check_int('options.mode', exact, 0, 0o777)
        change = bits or exact is not None
        owned = uid >= 0 or gid >= 0
        if (change or owned) and path.startswith('\0'):
            bad_value('options.path', 'no abstract name with a mode, readable_all or owner', path)
        self._follow_signal()
        if not owned and exact != 0 and self._shared(path, -1, -1, mode=bits):
            return
        handle = pipe_listener(self._runtime)
        code = handle.bind_path(path)
        if code != DONE:
            self._server._path = path
            self._fail(code, path, -1)
            return
        # Nobody can connect before listen(2), so nobody meets the file as it was made.
        code = set_owner(path, uid, gid) if owned else DONE
        syscall = 'chown'
        if code == DONE and change:
            code = handle.chmod(bits)
            syscall = 'chmod'
        if code != DONE:
            handle.close()
            self._stop_following()
            raise system_error(code, syscall, path=path)
        self._listen_on(handle, path, -1)

    def _shared(
        self, address: str | None, port: int, family: int, mode: int = 0, fd: int | None = None
    ) -> bool:
        """Whether another process is asked for the handle."""
        options = self._options
        alone = options.get('exclusive') or options.get('reuse_port') or self._early is not None
        if _share is None or alone:
            return False
        server = self._server
        server._pending.add(self)

        def answered(code: int, handle: ListenHandle | None) -> None:
            if self._cancelled:
                if handle is not None:
                    handle.close()
                return
            if handle is not None:
                self._listen_on(handle, address, port)
                return
            if family == -1:
                server._path = address
            self._stop_following()
            server._failed(self, self._error(code, 'bind', address, port))

        what = {
            'address': address,
            'port': port,
            'family': family,
            'backlog': self._backlog,
            'ipv6_only': bool(options.get('ipv6_only')),
            'mode': mode,
            'fd': fd,
        }
        _share(server, what, answered)
        return True

    # -- host names -------------------------------------------------------------------------------

    def _look_up(self, host: str, port: int) -> None:
        """LS-26: the first address that is not IPv6 link-local; a literal comes a tick later."""
        self._server._pending.add(self)

        def found(error: Exception | None, answers: Any = None, _: Any = None) -> None:
            self._request = None
            if self._cancelled:
                return
            if error is not None:
                self._stop_following()
                self._server._failed(self, error)
                return
            found_here = [pair for pair in entries(answers) if is_ip(pair[0])]
            if not found_here:
                failed = InvalidIPAddressError(f'the lookup of {host} gave no IP address')
                self._stop_following()
                self._server._failed(self, failed)
                return
            address, family = _first_usable(found_here)
            self._listen_on_address(address, port, family)

        literal = is_ip(host)
        if literal:
            self._runtime.push(found, (None, [{'address': host, 'family': literal}]))
        else:
            # As found at the call: a program may have put its own in the place of dns.lookup.
            self._request = Resolution(
                None, host, family=None, hints=0, every=True, answer=found, owner=self._server
            )

    # -- the end of it ----------------------------------------------------------------------------

    def _listen_on(
        self, handle: ListenHandle | int, address: str | None = None, port: int | None = None
    ) -> None:
        if isinstance(handle, int):
            self._fail(handle, address, port)
            return
        code = handle.listen(self._backlog)
        if code != DONE:
            handle.close()
            self._fail(code, address, port)
            return
        path = self._options.get('path') if handle.kind == 'pipe' else None
        self._server._bound(handle, path)
        self._server._pending.add(self)
        self._runtime.push(self._server._listening_nt, (self,))

    def _fail(self, code: int | str, address: str | None, port: int | None) -> None:
        self._stop_following()
        self._server._pending.add(self)
        error = self._error(code, 'listen', address, port)
        self._runtime.push(self._server._failed, (self, error))

    def _error(
        self, code: int | str, syscall: str, address: str | None, port: int | None
    ) -> NodeOSError:
        reason: int | str = code
        if port == -1 and system_error(code, syscall).code == 'ENOENT':
            # libuv, and so Node, says EACCES of a directory that is not there.
            reason = 'EACCES'
        return system_error(reason, syscall, address=address, port=port)

    def _follow_signal(self) -> None:
        """LS-23: an abort is a close(); the listener goes when the server closes."""
        signal = self._options.get('signal')
        if signal is None:
            return
        check_signal('options.signal', signal)
        server = self._server

        def abort(_: Any = None) -> None:
            server.close()

        if signal.aborted:
            self._runtime.push(abort, ())
            return

        def forget() -> None:
            signal.remove_event_listener('abort', abort)

        def unfollow() -> None:
            forget()
            server.off('close', forget)

        signal.add_event_listener('abort', abort)
        server.once('close', forget)
        self._unfollow = unfollow

    def _stop_following(self) -> None:
        """AB-06: nothing came of it, so there is nothing to abort."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None


def _is_port(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _first_usable(answers: list[tuple[Any, Any]]) -> tuple[str, int]:
    for address, _ in answers:
        if not address.lower().startswith('fe80'):
            return address, is_ip(address)
    return answers[0][0], is_ip(answers[0][0])
