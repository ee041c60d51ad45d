"""The C module on its own: each call beside what a socket object answers.

Where the package is not compiled the module is, for these tests, into a temporary folder.
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import importlib.util
import os
import select
import signal
import socket
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace._addr.ip import packed
from tailrace._handles import calls

kernel: Any = None
linux = pytest.mark.skipif(not hasattr(select, 'epoll'), reason='no epoll')
ROOT = Path(__file__).resolve().parents[2]

SHARED = 65536
KEEP = 262144


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module', autouse=True)
def module(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sets ``kernel``."""
    global kernel
    if calls.KERNEL:
        kernel = calls._kernel
        return
    build = load('tailrace_build', ROOT / 'hatch_build.py')
    if build.compiler() is None:
        pytest.skip("there is no C compiler with Python's headers")
    folder = tmp_path_factory.mktemp('kernel')
    build.copy_into(folder)
    build.compile_kernel(folder)
    made = next(path for path in build.extensions(folder) if path.name.startswith('_kernel'))
    kernel = load('tailrace._handles._kernel', made)


class Pair:
    """A Connection and the socket object at its other end."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        for end in (ours, self.theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        self.ours = kernel.Connection(ours.detach())


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.ours.close()
    made.theirs.close()


def raised(call: Callable[..., object], *args: object) -> tuple[type[BaseException], int | None]:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its class is what is asked for
        call(*args)
    return caught.type, getattr(caught.value, 'errno', None)


# -- recv ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'size', [1, 5, SHARED - 1, SHARED, SHARED + 1, KEEP, KEEP + 1, 1 << 20], ids=str
)
def test_recv_gives_what_is_there_up_to_the_size(pair: Pair, size: int) -> None:
    message = os.urandom(100_000)
    pair.theirs.sendall(message)
    data = pair.ours.recv(size)
    assert type(data) is bytes
    assert data == message[:size]
    rest = b''
    while len(data) + len(rest) < len(message):
        rest += pair.ours.recv(size)
    assert data + rest == message


def test_recv_of_nothing_and_at_the_end(pair: Pair) -> None:
    pair.theirs.sendall(b'x')
    assert pair.ours.recv(0) == b''
    assert pair.ours.recv(9) == b'x'
    pair.theirs.close()
    assert pair.ours.recv(9) == b''
    assert pair.ours.recv(KEEP + 1) == b''


@pytest.mark.parametrize('size', [10, SHARED + 1, KEEP + 1])
def test_recv_errors_are_those_of_a_socket(pair: Pair, size: int) -> None:
    assert raised(pair.ours.recv, size) == (BlockingIOError, errno.EAGAIN)
    pair.ours.close()
    assert raised(pair.ours.recv, size) == (OSError, errno.EBADF)
    assert raised(pair.ours.recv_into, bytearray(size)) == (OSError, errno.EBADF)


def test_reset_is_a_connection_reset_error() -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        client = socket.create_connection(server.getsockname())
        ours = kernel.accept(server)
        assert ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) is None
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        client.close()
        assert raised(ours.recv, 10) == (ConnectionResetError, errno.ECONNRESET)
        assert raised(ours.send, b'x', socket.MSG_NOSIGNAL) == (BrokenPipeError, errno.EPIPE)
        ours.close()


def test_recv_refuses_what_is_no_size(pair: Pair) -> None:
    for wrong, error in (
        ((), TypeError),
        ((1, 2), TypeError),
        (('1',), TypeError),
        ((1.5,), TypeError),
        ((-1,), ValueError),
        ((1 << 70,), OverflowError),
        ((sys.maxsize,), OverflowError),
    ):
        with pytest.raises(error):
            pair.ours.recv(*wrong)
    pair.theirs.sendall(b'still')
    assert pair.ours.recv(9) == b'still'


def test_each_thread_has_its_own_shared_buffer() -> None:
    wrong: list[bytes] = []

    def play(letter: bytes) -> None:
        pair = Pair()
        for _ in range(300):
            pair.theirs.sendall(letter * 4000)
            if pair.ours.recv(SHARED) != letter * 4000:
                wrong.append(letter)
        pair.ours.close()
        pair.theirs.close()

    threads = [threading.Thread(target=play, args=(bytes([65 + index]),)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- recv_into ----------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [3, KEEP + 1])
def test_recv_into_fills_from_the_start(pair: Pair, size: int) -> None:
    pair.theirs.sendall(b'abcdef')
    room = bytearray(b'-' * size)
    count = pair.ours.recv_into(room)
    assert count == min(size, 6)
    assert room[:count] == b'abcdef'[:count]
    assert room[count:] == b'-' * (size - count)
    view = memoryview(bytearray(8))
    pair.theirs.sendall(b'xy')
    pair.ours.recv_into(view[2:4])
    assert bytes(view) in (b'\0\0xy\0\0\0\0', b'\0\0de\0\0\0\0')


def test_recv_into_refuses_what_cannot_be_written(pair: Pair) -> None:
    pair.theirs.sendall(b'abc')
    for wrong in ((), (b'12',), ('12',), (12,), (bytearray(1), 2)):
        assert raised(pair.ours.recv_into, *wrong)[0] in (TypeError, BufferError)
    assert raised(pair.ours.recv_into, memoryview(bytearray(8))[::2])[0] is BufferError
    assert pair.ours.recv(9) == b'abc'


# -- send ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'bytes',
        bytearray(b'array'),
        memoryview(b'a view')[2:],
        array.array('i', [1, 2]),
        memoryview(array.array('H', [1, 2])),
        b'b' * (KEEP + 1),
    ],
    ids=['empty', 'bytes', 'bytearray', 'view', 'array', 'wide', 'large'],
)
def test_send_takes_bytes_and_buffers(pair: Pair, data: Any) -> None:
    expected = bytes(data)
    assert pair.ours.send(data) == len(expected)
    got = b''
    while len(got) < len(expected):
        got += pair.theirs.recv(1 << 20)
    assert got == expected


def test_send_says_how_much_the_kernel_took(pair: Pair) -> None:
    sent = pair.ours.send(b'f' * (1 << 24))
    assert 0 < sent < 1 << 24
    assert raised(pair.ours.send, b'f' * KEEP) == (BlockingIOError, errno.EAGAIN)
    assert raised(pair.ours.send, bytearray(KEEP + 1)) == (BlockingIOError, errno.EAGAIN)
    assert raised(pair.ours.sendmsg, [b'1', b'2'], (), 0) == (BlockingIOError, errno.EAGAIN)


def test_send_refuses_what_is_no_buffer(pair: Pair) -> None:
    flag = socket.MSG_NOSIGNAL
    for wrong, error in (
        ((), TypeError),
        (('text',), TypeError),
        ((7,), TypeError),
        ((None, flag), TypeError),
        ((b'1', flag, 3), TypeError),
        ((b'1', 'flag'), TypeError),
        ((b'1', 1 << 40), OverflowError),
        ((memoryview(b'12345678')[::2],), BufferError),
    ):
        with pytest.raises(error):
            pair.ours.send(*wrong)
    assert raised(pair.theirs.recv, 1, socket.MSG_DONTWAIT) == (BlockingIOError, errno.EAGAIN)


def test_a_buffer_is_let_go_of(pair: Pair) -> None:
    data = bytearray(b'abc')
    pair.ours.send(data)
    pair.ours.sendmsg([data, data], (), 0)
    pair.ours.close()
    for call in (
        lambda: pair.ours.send(data),
        lambda: pair.ours.sendmsg([data, data], (), 0),
        lambda: pair.ours.sendmsg([data, 'text'], (), 0),
        lambda: pair.ours.recv_into(data),
    ):
        raised(call)
    data.append(1)  # BufferError while somebody holds it


def test_send_to_the_dead_raises_no_signal(pair: Pair) -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        pair.theirs.close()
        flag = socket.MSG_NOSIGNAL
        assert raised(pair.ours.send, b'x', flag) == (BrokenPipeError, errno.EPIPE)
        assert raised(pair.ours.sendmsg, [b'x', b'y'], (), flag) == (BrokenPipeError, errno.EPIPE)
    finally:
        signal.signal(signal.SIGPIPE, before)


# -- sendmsg ------------------------------------------------------------------------------------


@pytest.mark.parametrize('count', [0, 1, 2, 64, 65, 1000])
def test_sendmsg_gathers(pair: Pair, count: int) -> None:
    chunks: list[Any] = [(b'%d,' % index) for index in range(count)]
    chunks[1:2] = [bytearray(chunk) for chunk in chunks[1:2]]
    expected = b''.join(chunks)
    assert pair.ours.sendmsg(chunks, (), socket.MSG_NOSIGNAL) == len(expected)
    if expected:
        assert pair.theirs.recv(1 << 20) == expected


def test_sendmsg_of_much_is_sent_as_far_as_there_is_room(pair: Pair) -> None:
    sent = pair.ours.sendmsg([b'f' * (1 << 22)] * 4, (), 0)
    assert 0 < sent < 1 << 24


def test_sendmsg_refuses_what_is_no_buffer(pair: Pair) -> None:
    assert raised(pair.ours.sendmsg, [b'1', 'text'], (), 0)[0] is TypeError
    assert raised(pair.ours.sendmsg, [b'1', memoryview(b'1234')[::2]], (), 0)[0] is BufferError
    assert raised(pair.ours.sendmsg, 7)[0] is TypeError
    assert raised(pair.ours.sendmsg, [b'1'], (), 'flag')[0] is TypeError


def test_sendmsg_carries_descriptors(pair: Pair) -> None:
    read, write = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [read]))]
    assert pair.ours.sendmsg([b'fd'], rights, 0) == 2
    data, fds, _, _ = socket.recv_fds(pair.theirs, 10, 1)
    assert data == b'fd'
    os.write(write, b'through')
    assert os.read(fds[0], 10) == b'through'
    for fd in (read, write, *fds):
        os.close(fd)


# -- one owner ----------------------------------------------------------------------------------


def closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def test_close_closes_once(pair: Pair) -> None:
    fd = pair.ours.fileno()
    assert repr(pair.ours) == f'<Connection fd={fd}>'
    pair.ours.close()
    assert closed(fd)
    assert pair.ours.fileno() == -1
    other = os.open(os.devnull, os.O_RDONLY)
    try:
        assert other == fd
        pair.ours.close()
        assert not closed(fd)
        assert raised(lambda: pair.ours.getsockname()) == (OSError, errno.EBADF)
        for call in ('shutdown', 'setsockopt', 'send', 'recv', 'recv_into', 'sendmsg'):
            args = {'shutdown': (1,), 'setsockopt': (1, 2, 3), 'recv': (1,), 'send': (b'x',)}
            args |= {'recv_into': (bytearray(1),), 'sendmsg': ([b'x'], (), 0)}
            assert raised(getattr(pair.ours, call), *args[call]) == (OSError, errno.EBADF)
    finally:
        os.close(other)


def test_the_socket_object_is_made_once_and_owns_then(pair: Pair) -> None:
    fd = pair.ours.fileno()
    assert pair.ours.family == socket.AF_UNIX
    assert pair.ours.type == socket.SOCK_STREAM
    assert pair.ours.proto == 0
    first, second = pair.ours.getsockopt, pair.ours.gettimeout
    assert first.__self__ is second.__self__
    sock = first.__self__
    assert type(sock) is socket.SocketType
    assert sock.fileno() == fd == pair.ours.fileno()
    assert sock.gettimeout() == 0 == pair.ours.gettimeout()
    del first, second
    pair.theirs.sendall(b'still')
    assert pair.ours.recv(10) == b'still'
    pair.ours.close()
    assert sock.fileno() == -1
    assert closed(fd)
    pair.ours.close()


def test_every_other_name_is_the_sockets(pair: Pair) -> None:
    for name in ('connect_ex', 'gettimeout', 'recvmsg', 'setblocking', 'settimeout'):
        assert getattr(pair.ours, name).__self__ is pair.ours.getsockopt.__self__
    assert not hasattr(pair.ours, 'nonsense')
    pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert pair.ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    assert raised(pair.ours.setsockopt, 1, 'two', 3)[0] is TypeError
    assert raised(pair.ours.setsockopt, 1)[0] is TypeError
    assert raised(pair.ours.setsockopt, 1, 12345, 1) == (OSError, errno.ENOPROTOOPT)


def test_a_connection_of_a_socket_object_shares_its_descriptor() -> None:
    raw = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM)
    ours = kernel.Connection(raw)
    assert ours.fileno() == raw.fileno()
    assert ours.getsockopt.__self__ is raw
    ours.close()
    assert raw.fileno() == -1
    assert raised(kernel.Connection, raw)[0] is ValueError
    for wrong in ((), ('x',), (1.0,), (1, 2), (None,)):
        assert raised(kernel.Connection, *wrong)[0] is TypeError
    assert raised(kernel.Connection, -1)[0] is ValueError
    with pytest.raises(TypeError):
        kernel.Connection(fd=1)
    with pytest.raises(TypeError):
        type('Sub', (kernel.Connection,), {})
    with pytest.raises(AttributeError):
        ours.extra = 1


def test_collected_open_it_warns_and_closes() -> None:
    ours, theirs = socket.socketpair()
    fd = ours.detach()
    connection = kernel.Connection(fd)
    with pytest.warns(ResourceWarning, match=f'unclosed <Connection fd={fd}>'):
        del connection
    assert closed(fd)
    ours, other = socket.socketpair()
    fd = ours.detach()
    connection = kernel.Connection(fd)
    assert connection.family == socket.AF_UNIX
    with pytest.warns(ResourceWarning, match='unclosed <socket'):
        del connection
    assert closed(fd)
    theirs.close()
    other.close()


def test_shutdown(pair: Pair) -> None:
    assert pair.ours.shutdown(socket.SHUT_WR) is None
    assert pair.theirs.recv(1) == b''
    assert raised(pair.ours.shutdown, 'how')[0] is TypeError
    assert raised(pair.ours.shutdown, 77) == (OSError, errno.EINVAL)
    with socket.socket() as alone:
        connection = kernel.Connection(os.dup(alone.fileno()))
        assert raised(connection.shutdown, socket.SHUT_WR) == (OSError, errno.ENOTCONN)
        connection.close()


@pytest.mark.parametrize(
    ('host', 'other'), [('127.0.0.1', '127.0.0.1'), ('::1', '::1'), ('::', '127.0.0.1')]
)
def test_addresses_are_those_of_the_socket_module(host: str, other: str) -> None:
    try:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        server = socket.create_server((host, 0), family=family, dualstack_ipv6=host == '::')
    except OSError:
        pytest.skip('this machine has no IPv6')
    with server, socket.create_connection((other, server.getsockname()[1])):
        ours = kernel.accept(server)
        raw = socket.socket(fileno=os.dup(ours.fileno()))
        with raw:
            assert ours.getpeername() == raw.getpeername()
            assert ours.getsockname() == raw.getsockname()
            assert ours.peer_key() == packed(raw.getpeername()[0])
        ours.close()
        assert raised(ours.getpeername) == (OSError, errno.EBADF)
        assert raised(ours.getsockname) == (OSError, errno.EBADF)
        assert raised(ours.peer_key) == (OSError, errno.EBADF)


def test_addresses_of_other_families_are_asked_of_the_socket(tmp_path: Path) -> None:
    where = str(tmp_path / 's')
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(where)
        server.listen()
        client.connect(where)
        ours = kernel.accept(server)
        assert (ours.getsockname(), ours.getpeername(), ours.peer_key()) == (where, '', None)
        ours.close()


# -- accept -------------------------------------------------------------------------------------


def test_accept_gives_a_connection_or_none() -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.setblocking(False)
        assert kernel.accept(server) is None
        with socket.create_connection(server.getsockname()) as client:
            ours = kernel.accept(server.fileno())
            assert type(ours) is kernel.Connection
            assert not os.get_blocking(ours.fileno())
            assert not os.get_inheritable(ours.fileno())
            assert ours.getpeername() == client.getsockname()
            client.sendall(b'hello')
            select.select([ours.fileno()], [], [])
            assert ours.recv(100) == b'hello'
            ours.close()
        assert kernel.accept(server) is None


def test_accept_errors() -> None:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        assert raised(kernel.accept, sock) == (OSError, errno.EINVAL)
    assert raised(kernel.accept, sock)[0] is ValueError
    assert raised(kernel.accept, 'x')[0] is TypeError
    assert raised(kernel.accept)[0] is TypeError
    file = os.open(os.devnull, os.O_RDONLY)
    assert raised(kernel.accept, file) == (OSError, errno.ENOTSOCK)
    os.close(file)
    assert raised(kernel.accept, file) == (OSError, errno.EBADF)


# -- epoll_wait ---------------------------------------------------------------------------------


@pytest.fixture
def poll() -> Iterator[select.epoll]:
    with select.epoll() as made:
        yield made


@linux
def test_epoll_wait_answers_as_the_object_does(poll: select.epoll, pair: Pair) -> None:
    fd = poll.fileno()
    assert kernel.epoll_wait(fd, 0, 10) == []
    ends = [pair.ours.fileno(), pair.theirs.fileno()]
    for end in ends:
        poll.register(end, select.EPOLLIN | select.EPOLLOUT)
    pair.theirs.sendall(b'x')
    for timeout in (None, -1, 0, 0.0, 5, 0.001):
        found = kernel.epoll_wait(fd, timeout, 10)
        assert sorted(found) == sorted(poll.poll(timeout, 10))
        assert sorted(found) == sorted([(ends[0], 5), (ends[1], 4)])
    assert len(kernel.epoll_wait(fd, 0, 1)) == 1
    assert len(kernel.epoll_wait(fd, 0, 1 << 30)) == 2


@linux
def test_epoll_wait_gives_256_events_at_the_most(poll: select.epoll) -> None:
    read, write = os.pipe()
    copies = [os.dup(write) for _ in range(300)]
    for fd in copies:
        poll.register(fd, select.EPOLLOUT)
    first = kernel.epoll_wait(poll.fileno(), 0, 1000)
    assert len(first) == 256
    second = kernel.epoll_wait(poll.fileno(), 0, 1000)
    assert {fd for fd, _ in first + second} == set(copies)
    for fd in (read, write, *copies):
        os.close(fd)


@linux
def test_epoll_ctl_registers_as_the_object_does(poll: select.epoll, pair: Pair) -> None:
    fd, end = poll.fileno(), pair.theirs.fileno()
    add, delete, modify = 1, 2, 3
    assert kernel.epoll_ctl(fd, add, end, select.EPOLLIN) is None
    assert poll.poll(0) == []
    assert kernel.epoll_ctl(fd, modify, end, select.EPOLLOUT) is None
    assert poll.poll(0) == [(end, select.EPOLLOUT)]
    assert kernel.epoll_ctl(fd, delete, end, 0) is None
    assert poll.poll(0) == []
    for operation, number, code in (
        (delete, end, errno.ENOENT),
        (modify, end, errno.ENOENT),
        (add, -1, errno.EBADF),
        (7, end, errno.EINVAL),
    ):
        with pytest.raises(OSError, match=os.strerror(code)):
            kernel.epoll_ctl(fd, operation, number, 1)
    for wrong in ((), (fd, add, end), (fd, add, 'x', 1), (fd, add, end, 1, 1)):
        with pytest.raises(TypeError):
            kernel.epoll_ctl(*wrong)


@linux
def test_epoll_wait_refuses_nonsense(poll: select.epoll) -> None:
    fd = poll.fileno()
    for wrong, error in (
        ((), TypeError),
        ((fd, 0), TypeError),
        ((fd, 0, 1, 1), TypeError),
        (('x', 0, 1), TypeError),
        ((fd, 'x', 1), TypeError),
        ((fd, 0, 'x'), TypeError),
        ((fd, 0, 0), ValueError),
        ((fd, 0, -1), ValueError),
        ((fd, float('nan'), 1), ValueError),
        ((fd, float('inf'), 1), OverflowError),
        ((fd, 1e10, 1), OverflowError),
        ((1 << 40, 0, 1), OverflowError),
    ):
        with pytest.raises(error):
            kernel.epoll_wait(*wrong)
    assert raised(kernel.epoll_wait, -1, 0, 1) == (OSError, errno.EBADF)
    read, write = os.pipe()
    assert raised(kernel.epoll_wait, read, 0, 1) == (OSError, errno.EINVAL)
    os.close(read)
    os.close(write)


class Rang(Exception):
    """A signal handler's exception."""


def ring(action: Callable[[int, Any], object]) -> Callable[[], None]:
    """Have a signal interrupt whatever waits in this thread; what ends that."""
    before = signal.signal(signal.SIGALRM, action)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)

    def stop() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    return stop


@linux
def test_a_signal_handler_ends_the_wait_only_by_raising(poll: select.epoll) -> None:
    rung = []

    def note(number: int, frame: Any) -> None:
        rung.append(number)
        if len(rung) == 3:
            raise Rang

    stop = ring(note)
    try:
        with pytest.raises(Rang):
            kernel.epoll_wait(poll.fileno(), None, 1)
        assert len(rung) == 3
        del rung[:2]
        rung *= 4  # no exception any more
        assert kernel.epoll_wait(poll.fileno(), 0.1, 1) == []
        assert len(rung) > 4
    finally:
        stop()


def test_recv_send_and_accept_go_on_after_a_signal() -> None:
    # What would wait can be interrupted: blocking descriptors, which no handle has.
    ours, theirs = socket.socketpair()
    connection = kernel.Connection(ours.detach())
    rung = []

    def note(number: int, frame: Any) -> None:
        rung.append(number)
        if len(rung) == 2:
            theirs.sendall(b'late')
        if len(rung) > 3:
            raise Rang

    stop = ring(note)
    try:
        assert connection.recv(10) == b'late'
        with pytest.raises(Rang):
            connection.recv(KEEP + 1)
        rung.clear()
        assert connection.recv_into(bytearray(10)) == 4
        # What is out when the signal comes is a result.
        with contextlib.suppress(Rang):
            while connection.send(bytes(1 << 25)):
                pass
        with pytest.raises(Rang):
            connection.send(b'no room')
        with pytest.raises(Rang):
            connection.sendmsg([bytes(KEEP), b'x'], (), 0)
        with socket.create_server(('127.0.0.1', 0)) as server:
            rung[:] = [1, 2]
            with pytest.raises(Rang):
                kernel.accept(server)
    finally:
        stop()
        connection.close()
        theirs.close()


# -- nothing stays behind -----------------------------------------------------------------------


def everything(poll: select.epoll | None) -> None:
    pair = Pair()
    data = bytearray(b'abc')
    pair.ours.send(b'abc')
    pair.ours.send(data)
    pair.ours.sendmsg([b'abc', data], (), 0)
    pair.ours.sendmsg([b'abc', data])
    pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
    pair.theirs.recv(100)
    pair.theirs.sendall(b'x' * 2000)
    pair.ours.recv(100)
    pair.ours.recv_into(data)
    pair.ours.recv(KEEP)
    for call, args in (
        (pair.ours.recv, (1,)),
        (pair.ours.recv, (SHARED + 1,)),
        (pair.ours.recv, ('x',)),
        (pair.ours.recv_into, (data,)),
        (pair.ours.send, ('x',)),
        (pair.ours.sendmsg, ([data, 'x'], (), 0)),
        (pair.ours.setsockopt, (1, 12345, 1)),
        (kernel.accept, (pair.theirs,)),
    ):
        with contextlib.suppress(Exception):
            call(*args)
    if poll is not None:
        poll.register(pair.ours.fileno(), select.EPOLLOUT)
        kernel.epoll_wait(poll.fileno(), 0, 10)
        kernel.epoll_ctl(poll.fileno(), 2, pair.ours.fileno(), 0)
        with contextlib.suppress(OSError):
            kernel.epoll_ctl(poll.fileno(), 2, pair.ours.fileno(), 0)
    _ = pair.ours.family, pair.ours.getsockname(), pair.ours.type
    pair.ours.close()
    pair.theirs.close()


def test_nothing_stays_behind() -> None:
    poll = select.epoll() if hasattr(kernel, 'epoll_wait') else None
    marks = [b'abc', 'getsockname', socket.SocketType, kernel.Connection]

    def grown() -> int:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            everything(poll)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    everything(poll)
    gc.collect()  # what other tests have left would be let go of in between
    counts = [sys.getrefcount(mark) for mark in marks]
    tracemalloc.start()
    try:
        # The interpreter's free lists grow too, but not for ever; one object each time does.
        assert any(grown() < 200 * 8 for _ in range(30))
    finally:
        tracemalloc.stop()
    # The collector may free a few that earlier tests have left; one for each round is 200.
    now = [sys.getrefcount(mark) for mark in marks]
    assert all(abs(one - before) < 100 for one, before in zip(now, counts, strict=True)), (
        now,
        counts,
    )
    if poll is not None:
        poll.close()
