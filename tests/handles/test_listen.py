"""Listening and connecting: bind, accept, files, errors, and life without descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import subprocess
import sys
import textwrap

import pytest

from tailrace._handles import DONE, PENDING, listen, listen_tcp, make
from tailrace._handles.pipe import path_bytes
from tailrace._handles.tcp import ip_sockaddr
from tailrace._runtime import current

linux = pytest.mark.skipif(sys.platform != 'linux', reason='abstract names are Linux only')


async def closed(*handles):
    for handle in handles:
        future = asyncio.get_running_loop().create_future()
        handle.close(lambda future=future: future.set_result(None))
        await future


def tcp_server(host='127.0.0.1', port=0, family=4):
    listener = make.tcp_listener(current())
    assert listener.bind(host, port, family, False, False) == DONE
    assert listener.listen(511) == DONE
    return listener


def has_ipv6():
    try:
        with socket.create_server(('::1', 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason='no IPv6 loopback')


# -- connecting ---------------------------------------------------------------------------------


def test_connect_accept_and_hand_over_not_reading(run, make_log):
    async def main():
        log = make_log()
        listener = tcp_server()
        listener.on_connection = log.add
        host, port, family = listener.get_sock_name()
        assert (host, family) == ('127.0.0.1', 'IPv4')
        client = make.tcp(current())
        client.on_read = lambda data: log.add(('read', data))
        assert client.connect(host, port, 4, log.to('connected')) == PENDING
        assert client.connect(host, port, 4, pytest.fail) == errno.EALREADY
        client.read_start()
        assert log == []
        await log.until(lambda log: len(log) == 2)
        assert ('connected', 0) in log
        (conn,) = [entry for entry in log if not isinstance(entry, tuple)]
        assert not conn.reading
        assert conn not in current().holders
        assert not os.get_inheritable(conn.fd)
        assert not os.get_blocking(conn.fd)
        assert conn.get_peer_name() == client.get_sock_name()
        conn.write(b'hi', pytest.fail)
        await log.until(('read', b'hi'))
        await closed(client, conn, listener)

    run(main)


def test_write_and_shutdown_wait_for_the_connect(run, make_log):
    async def main():
        log = make_log()
        listener = tcp_server()
        listener.on_connection = lambda conn: log.add(conn)
        client = make.tcp(current())
        assert client.connect(*listener.get_sock_name()[:2], 4, log.to('connected')) == PENDING
        assert client.write(b'early', log.to('written')) == PENDING
        assert client.shutdown(log.to('shut')) == PENDING
        await log.until(('shut', 0))
        order = [entry for entry in log if isinstance(entry, tuple)]
        assert order == [('connected', 0), ('written', 0), ('shut', 0)]
        await log.until(lambda log: len(log) == 4)
        (conn,) = [entry for entry in log if not isinstance(entry, tuple)]
        conn.on_read = lambda data: log.add(('read', data))
        conn.on_end = log.to('end')
        conn.read_start()
        await log.until(('end',))
        assert ('read', b'early') in log
        await closed(client, conn, listener)

    run(main)


def test_refused_comes_later_and_fails_what_waited(run, make_log):
    async def main():
        log = make_log()
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        client = make.tcp(current())
        client.on_error = log.to('error')
        assert client.connect('127.0.0.1', port, 4, log.to('connected')) == PENDING
        assert client.write(b'x', log.to('written')) == PENDING
        client.read_start()
        assert client in current().holders
        await log.until(lambda log: len(log) == 2)
        code = errno.ECONNREFUSED
        assert log == [('connected', code), ('written', code)]
        assert not client.reading
        assert client not in current().holders
        await closed(client)

    run(main)


def test_connect_errors_known_at_once_return(run):
    async def main():
        for address, family, code in (
            ('localhost', 4, errno.EINVAL),
            ('127.0.0.1', 6, errno.EINVAL),
            ('fe80::1%no-such-interface', 6, errno.EINVAL),
            ('255.255.255.255', 4, errno.ENETUNREACH),
        ):
            client = make.tcp(current())
            got = client.connect(address, 1, family, pytest.fail)
            # Where a route leads there, Linux says EACCES to a broadcast address.
            assert got == code or (code == errno.ENETUNREACH and got == errno.EACCES)
            assert client not in current().holders
            await closed(client)

    run(main)


def test_close_cancels_a_connect(run, make_log):
    async def main():
        log = make_log()
        listener = tcp_server()
        listener.on_connection = lambda conn: conn.close()
        client = make.tcp(current())
        client.connect(*listener.get_sock_name()[:2], 4, log.to('connected'))
        client.close(log.to('closed'))
        gone = make.pipe(current())
        gone.connect('/nonexistent/socket', 0, 0, log.to('pipe'))
        gone.close(log.to('pipe closed'))
        await log.until(('pipe closed',))
        code = errno.ECANCELED
        assert log == [('connected', code), ('closed',), ('pipe', code), ('pipe closed',)]
        await closed(listener)

    run(main)


def test_am12_bound_clients(run, make_log):
    async def main():
        log = make_log()
        listener = tcp_server()
        listener.on_connection = lambda conn: conn.close()
        client = make.tcp(current())
        assert client.bind('127.0.0.1', 0, 4) == DONE
        with socket.socket(fileno=os.dup(client.fd)) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        before = client.get_sock_name()
        client.connect(*listener.get_sock_name()[:2], 4, log.to('connected'))
        await log.until(('connected', 0))
        assert client.get_sock_name() == before
        other = make.tcp(current())
        assert other.bind('192.0.2.77', 0, 4) == errno.EADDRNOTAVAIL
        assert other.bind(*listener.get_sock_name()[:2], 4) == errno.EADDRINUSE
        assert other.bind('nowhere', 0, 4) == errno.EINVAL
        await closed(client, other, listener)

    run(main)


def test_addresses_are_literals_only():
    assert ip_sockaddr('127.0.0.1', 1, 4) == ('127.0.0.1', 1)
    assert ip_sockaddr('::1', 1, 6) == ('::1', 1, 0, 0)
    assert ip_sockaddr('fe80::1%7', 1, 6) == ('fe80::1', 1, 0, 7)
    for bad in (('localhost', 4), ('::1', 4), ('127.0.0.1%1', 4), ('1.2.3.4', 6), ('::1', 5)):
        assert ip_sockaddr(bad[0], 1, bad[1]) is None


# -- Unix paths ---------------------------------------------------------------------------------


def test_unix_echo_and_ipc05_unlink(run, make_log, tmp_path):
    async def main():
        log = make_log()
        path = str(tmp_path / 's')
        listener = make.pipe_listener(current())
        listener.on_connection = lambda conn: log.add(conn)
        assert listener.bind_path(path) == DONE
        assert listener.listen(5) == DONE
        assert listener.get_sock_name() == path
        assert listener.describe() == ('server', path)
        client = make.pipe(current())
        assert client.connect(path, 0, 0, log.to('connected')) == PENDING
        assert log == []
        await log.until(lambda log: len(log) == 2)
        assert client.describe() == ('socket', path)
        (conn,) = [entry for entry in log if not isinstance(entry, tuple)]
        await closed(client, conn)
        listener.close()
        assert not os.path.exists(path)
        await closed(listener)

    run(main)


def test_unix_connect_errors_come_later(run, make_log, tmp_path):
    async def main():
        (tmp_path / 'plain').touch()
        (tmp_path / 'dir').mkdir()
        for name, code in (
            ('missing', errno.ENOENT),
            ('plain', errno.ECONNREFUSED),
            ('dir', errno.ECONNREFUSED),
        ):
            log = make_log()
            client = make.pipe(current())
            assert client.connect(str(tmp_path / name), 0, 0, log.to('connected')) == PENDING
            assert client in current().holders
            client.write(b'x', log.to('written'))
            assert log == []
            await log.until(('written', code))
            assert log == [('connected', code), ('written', code)]
            await closed(client)

    run(main)


def test_unix_backlog_full_is_an_error_not_a_wait(run, make_log, tmp_path):
    async def main():
        log = make_log()
        path = str(tmp_path / 's')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(0)
            clients = []
            while not log:
                clients.append(make.pipe(current()))
                clients[-1].connect(path, 0, 0, lambda code: code and log.add(code))
                await asyncio.sleep(0)
                assert len(clients) < 20
            assert log == [errno.EAGAIN if sys.platform == 'linux' else errno.ECONNREFUSED]
            await closed(*clients)

    run(main)


def test_ipc04_ipc14_paths_that_no_kernel_takes(run, tmp_path):
    async def main():
        base = str(tmp_path) + '/'
        for path in (base + 'x' * 200, base + 'a\0b', '', base + 'é' * 80, base + '\ud800'):
            client, listener = make.pipe(current()), make.pipe_listener(current())
            assert client.connect(path, 0, 0, pytest.fail) == errno.EINVAL
            assert listener.bind_path(path) == errno.EINVAL
            await closed(client, listener)
        assert os.listdir(tmp_path) == []

    run(main)


def test_ipc04_longest_path_works(run, make_log, tmp_path, monkeypatch):
    async def main():
        log = make_log()
        longest = (107 if sys.platform == 'linux' else 103) - 2
        monkeypatch.chdir(tmp_path)
        path = './' + 'x' * longest
        listener = make.pipe_listener(current())
        listener.on_connection = lambda conn: conn.close()
        assert listener.bind_path(path) == DONE
        assert listener.listen(5) == DONE
        client = make.pipe(current())
        client.connect(path, 0, 0, log.to('connected'))
        await log.until(('connected', 0))
        monkeypatch.chdir('/')  # the file is found all the same
        await closed(client, listener)
        assert os.listdir(tmp_path) == []

    run(main)


@linux
def test_ipc08_abstract_names(run, make_log):
    async def main():
        log = make_log()
        name = f'\0tailrace-test-{os.getpid()}'
        for _ in range(2):
            listener = make.pipe_listener(current())
            listener.on_connection = lambda conn: conn.close()
            assert listener.bind_path(name) == DONE
            assert listener.listen(5) == DONE
            assert listener.get_sock_name() == name
            assert listener.chmod(0o444) == errno.EINVAL
            client = make.pipe(current())
            client.connect(name, 0, 0, log.to('connected'))
            await log.until(('connected', 0))
            await closed(client, listener)
            log.clear()
        assert make.pipe_listener(current()).bind_path(name + 'x' * 108) == errno.EINVAL

    run(main)


@pytest.mark.interpreted
def test_ipc09_abstract_elsewhere_is_refused(monkeypatch):
    monkeypatch.setattr('tailrace._handles.pipe._ABSTRACT', False)
    assert path_bytes('\0name') is None


def test_ipc06_foreign_files_stay(run, tmp_path):
    async def main():
        path = str(tmp_path / 's')
        with socket.socket(socket.AF_UNIX) as foreign:
            foreign.bind(path)
        listener = make.pipe_listener(current())
        assert listener.bind_path(path) == errno.EADDRINUSE
        await closed(listener)
        assert os.path.exists(path)
        listener = make.pipe_listener(current())
        with socket.socket(socket.AF_UNIX) as mine:
            mine.bind(str(tmp_path / 't'))
            assert listener.open(os.dup(mine.fileno())) == DONE
        assert listener.listen(1) == DONE
        await closed(listener)
        assert os.path.exists(tmp_path / 't')

    run(main)


def test_am46_pf10_a_file_that_replaced_ours_stays(run, tmp_path):
    async def main():
        path = str(tmp_path / 's')
        listener = make.pipe_listener(current())
        assert listener.bind_path(path) == DONE
        os.rename(path, tmp_path / 'moved')
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
        await closed(listener)
        assert os.path.exists(path)
        assert os.path.exists(tmp_path / 'moved')

    run(main)


def test_a_forked_copy_does_not_remove_the_file(run, tmp_path, monkeypatch):
    async def main():
        path = str(tmp_path / 's')
        listener = make.pipe_listener(current())
        assert listener.bind_path(path) == DONE
        with monkeypatch.context() as patch:
            patch.setattr(os, 'getpid', lambda: 1)
            await closed(listener)
        assert os.path.exists(path)

    run(main)


def test_ls21_ls22_chmod_sets_exactly_these_bits(run, tmp_path):
    async def main():
        path = str(tmp_path / 's')
        before = os.umask(0o077)
        try:
            listener = make.pipe_listener(current())
            assert listener.bind_path(path) == DONE
        finally:
            os.umask(before)
        assert listener.chmod(0o444) == DONE
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
        assert listener.chmod(0o222) == DONE
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o222
        await closed(listener)

    run(main)


def test_collected_listener_warns_and_cleans_up(run, tmp_path):
    async def main():
        path = str(tmp_path / 's')
        listener = make.pipe_listener(current())
        assert listener.bind_path(path) == DONE
        with pytest.warns(ResourceWarning, match='unclosed handle pipe'):
            del listener
        assert not os.path.exists(path)

    run(main)


# -- TCP listeners ------------------------------------------------------------------------------


def test_ls05_pf01_reuse_address(run):
    async def main():
        listener = tcp_server()
        with socket.socket(fileno=os.dup(listener.fd)) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        other = make.tcp_listener(current())
        assert other.bind(*listener.get_sock_name()[:2], 4, False, False) == errno.EADDRINUSE
        assert other.fd == -1
        # The same handle may try again.
        assert other.bind('127.0.0.1', 0, 4, False, False) == DONE
        assert other.bind('127.0.0.1', 0, 4, False, False) == errno.EINVAL
        await closed(other, listener)

    run(main)


@ipv6
@pytest.mark.parametrize('only', [False, True])
def test_ls16_pf03_v6only_is_explicit(run, only):
    async def main():
        listener = make.tcp_listener(current())
        assert listener.bind('::', 0, 6, only, False) == DONE
        with socket.socket(fileno=os.dup(listener.fd)) as sock:
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only
        assert listener.get_sock_name()[::2] == ('::', 'IPv6')
        await closed(listener)

    run(main)


@pytest.mark.interpreted
def test_ls17_am13_reuse_port(run, monkeypatch):
    async def main():
        if listen_tcp._REUSE_PORT >= 0:
            one, two = make.tcp_listener(current()), make.tcp_listener(current())
            assert one.bind('127.0.0.1', 0, 4, False, True) == DONE
            assert two.bind(*one.get_sock_name()[:2], 4, False, True) == DONE
            assert (one.listen(5), two.listen(5)) == (DONE, DONE)
            await closed(one, two)
        monkeypatch.setattr(listen_tcp, '_REUSE_PORT', -1)
        three = make.tcp_listener(current())
        assert three.bind('127.0.0.1', 0, 4, False, True) == errno.ENOTSUP

    run(main)


def test_ls11_open(run, make_log):
    async def main():
        log = make_log()
        listener = make.tcp_listener(current())
        assert listener.open(9999) == errno.EINVAL
        with open(os.devnull) as null:
            assert listener.open(null.fileno()) == errno.EINVAL
            os.fstat(null.fileno())
        with socket.create_server(('127.0.0.1', 0)) as server:
            address = server.getsockname()
            assert listener.open(server.detach()) == DONE
        listener.on_connection = lambda conn: (log.add('conn'), conn.close())
        assert listener.listen(5) == DONE
        with socket.create_connection(address):
            await log.until('conn')
        await closed(listener)

    run(main)


def test_listen_on_what_cannot_listen(run):
    async def main():
        listener = make.tcp_listener(current())
        assert listener.listen(1) == errno.EINVAL
        with socket.create_server(('127.0.0.1', 0)) as server:
            client = socket.create_connection(server.getsockname())
        assert listener.open(client.detach()) == DONE
        assert listener.listen(1) == errno.EINVAL
        assert listener not in current().holders
        await closed(listener)

    run(main)


def test_pause_resume_and_close_in_on_connection(run, make_log):
    async def main():
        log = make_log()
        listener = tcp_server()
        accepted = []

        def on_connection(conn):
            accepted.append(conn)
            if len(accepted) == 1:
                listener.pause()
            else:
                listener.close(log.to('closed'))
            log.add(len(accepted))

        listener.on_connection = on_connection
        address = listener.get_sock_name()[:2]
        with socket.create_connection(address), socket.create_connection(address):
            await log.until(1)
            for _ in range(5):
                await asyncio.sleep(0)
            assert log == [1]
            assert listener in current().holders
            listener.resume()
            await log.until(('closed',))
            assert log == [1, 2, ('closed',)]
        await closed(*accepted)

    run(main)


@pytest.mark.interpreted
def test_accepting_is_bounded_per_event(run, make_log, monkeypatch):
    async def main():
        monkeypatch.setattr(listen, 'MAX_ACCEPT', 2)
        log = make_log()
        listener = tcp_server()
        listener.on_connection = lambda conn: (log.add('conn'), conn.close())
        address = listener.get_sock_name()[:2]
        clients = [socket.create_connection(address) for _ in range(5)]
        listener.ready_to_read()
        assert log == ['conn'] * 2
        await log.until(lambda log: len(log) == 5)
        for client in clients:
            client.close()
        await closed(listener)

    run(main)


def test_a_listener_holds_while_refd(run):
    async def main():
        listener = tcp_server()
        holders = current().holders
        assert listener in holders
        listener.unref()
        assert listener not in holders
        listener.ref()
        assert listener.has_ref()
        assert listener in holders
        assert repr(listener) == f'<TcpListener fd={listener.fd} listening>'
        listener.close()
        assert listener not in holders
        await closed(listener)

    run(main)


# -- accept errors ------------------------------------------------------------------------------


class Refusing:
    """A listening socket whose accept fails as told, then works."""

    def __init__(self, sock, codes):
        self._sock, self._codes = sock, codes

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def _fail(self):
        if self._codes:
            code = self._codes.pop(0)
            raise OSError(code, os.strerror(code))

    def fileno(self):
        """What the C module asks for."""
        self._fail()
        return self._sock.fileno()

    def _accept(self):
        self._fail()
        return self._sock._accept()


def refuse(listener, *codes):
    real, listener._sock = listener._sock, Refusing(listener._sock, list(codes))
    listener.ready_to_read()
    listener._sock = real


def test_errors_of_dead_connections_are_skipped(run):
    async def main():
        listener = tcp_server()
        listener.on_accept_error = pytest.fail
        refuse(listener, *listen._NEXT)
        assert listener.watching
        await closed(listener)

    run(main)


@pytest.mark.parametrize('code', [errno.ENOBUFS, errno.ENOMEM, errno.EINVAL])
def test_am70_lasting_error_is_told_once_and_accepting_rests(run, make_log, monkeypatch, code):
    async def main():
        monkeypatch.setattr(listen, 'BACK_OFF', 1)
        log = make_log()
        listener = tcp_server()
        listener.on_accept_error = log.add
        listener.on_connection = lambda conn: (log.add('conn'), conn.close())
        refuse(listener, code)
        assert not listener.watching
        refuse(listener)
        with socket.create_connection(listener.get_sock_name()[:2]):
            await log.until('conn')
        assert log == [code, 'conn']
        refuse(listener, code)
        assert log == [code, 'conn', code]
        await closed(listener)

    run(main)


def test_am70_out_of_descriptors(loop_kind):
    script = """
        import asyncio, errno, os, resource, socket, sys
        from tailrace._handles import make
        from tailrace._runtime import current

        async def main():
            loop = asyncio.get_running_loop()
            log, conns = [], []
            listener = make.tcp_listener(current())
            listener.bind('127.0.0.1', 0, 4, False, False)
            listener.on_accept_error = lambda code: log.append(errno.errorcode[code])
            listener.on_connection = conns.append
            listener.listen(100)
            address = listener.get_sock_name()[:2]
            for round in range(2):
                clients = [socket.socket() for _ in range(10)]
                taken = [os.open(os.devnull, os.O_RDONLY)]
                resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 4, hard))
                try:
                    while True:
                        taken.append(os.dup(0))
                except OSError:
                    pass
                os.close(taken.pop())  # one connection fits
                for client in clients:
                    client.connect(address)
                    client.setblocking(False)
                ends = [await asyncio.wait_for(loop.sock_recv(c, 1), 5) for c in clients[1:]]
                assert ends == [b''] * 9, ends
                assert len(conns) == 1, conns
                assert log == ['EMFILE'] * (round + 1), log
                for fd in taken:
                    os.close(fd)
                for client in clients:
                    client.close()
                conns.pop().close()
                with socket.create_connection(address):
                    while not conns:
                        await asyncio.sleep(0)
                conns.pop().close()
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            listener.close()
            print('fine')

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        factory = None
        if sys.argv[1] == 'uvloop':
            import uvloop
            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
    """
    result = subprocess.run(
        [sys.executable, '-W', 'error', '-c', textwrap.dedent(script), loop_kind],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )
    assert (result.stdout, result.stderr) == ('fine\n', '')


@pytest.mark.interpreted
def test_am70_without_even_a_spare_accepting_rests(run, make_log, monkeypatch):
    async def main():
        monkeypatch.setattr(listen, 'BACK_OFF', 1)
        log = make_log()
        listener = tcp_server()
        listener.on_accept_error = log.add
        listener.on_connection = lambda conn: (log.add('conn'), conn.close())
        with monkeypatch.context() as patch:
            patch.setattr(listen, '_open_spare', lambda: -1)
            refuse(listener, errno.EMFILE, errno.EMFILE)
            assert listener._spare == -1
            assert not listener.watching
        with socket.create_connection(listener.get_sock_name()[:2]):
            await log.until('conn')
        assert log == [errno.EMFILE, 'conn']
        await closed(listener)

    run(main)
