"""``child_process.fork`` and ``process``, with real children. Orders of events are Node 24's."""

from __future__ import annotations

import pytest


def test_cp01_ping_and_pong(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m):
                process.send({'re': m, 'args': sys.argv[1:]})
                process.disconnect()
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['one', 'two'])
            child.on('message', lambda m: say(m))
            child.send({'ping': [1, None, 'ü']})
            say(child.pid != os.getpid(), child.connected)
        go()
    """)
    assert said == [[True, True], [{'re': {'ping': [1, None, 'ü']}, 'args': ['one', 'two']}]]


EVENTS = """
    if len(sys.argv) > 1:
        process.send('a')
        if sys.argv[1] == 'early':
            sys.exit(3)
        if sys.argv[1] == 'wait':
            process.on('message', lambda: None)
        process.send('b')
    else:
        child = child_process.fork(__file__, [os.environ['HOW']])
        for event in ('spawn', 'message', 'disconnect', 'exit', 'close', 'error'):
            child.on(event, lambda *a, event=event: say(
                event, *a, child.connected, child.exit_code, child.signal_code))
        if os.environ['HOW'] == 'wait':
            child.on('message', lambda m: m == 'b' and say('kill', child.kill('SIGKILL')))
        child.on('close', lambda: say(child.killed, child.kill(), child.send('x', lambda e:
            say(e.code))))
    go()
"""


def test_cp01_events_of_a_child_that_ends_by_itself(program):
    """Nothing keeps it alive: it has a channel, but nobody listens there."""
    assert program(EVENTS, HOW='normal') == [
        ['spawn', True, None, None],
        ['message', 'a', None, True, None, None],
        ['message', 'b', None, True, None, None],
        ['disconnect', False, None, None],
        ['exit', 0, None, False, 0, None],
        ['close', 0, None, False, 0, None],
        [False, False, False],
        ['ERR_IPC_CHANNEL_CLOSED'],
    ]


def test_cp01_events_of_a_child_that_exits_with_a_status(program):
    said = program(EVENTS, HOW='early')
    assert said[1:-2] == [
        ['message', 'a', None, True, None, None],
        ['disconnect', False, None, None],
        ['exit', 3, None, False, 3, None],
        ['close', 3, None, False, 3, None],
    ]


def test_cp01_events_of_a_child_that_is_killed(program):
    said = program(EVENTS, HOW='wait')
    assert said[3:-1] == [
        ['kill', True],
        ['disconnect', False, None, None],
        ['exit', None, 'SIGKILL', False, None, 'SIGKILL'],
        ['close', None, 'SIGKILL', False, None, 'SIGKILL'],
        [True, False, False],
    ]


def test_cp01_a_program_that_cannot_be_started_is_an_error_event(program):
    said = program("""
        child = child_process.fork(__file__, exec_path='/nonexistent/python')
        child.on('error', lambda e: say(e.code, e.syscall, e.path))
        heard(child, 'child', 'spawn', 'exit', 'close')
        say(child.pid, child.connected)
        go()
    """)
    assert said[0] == [None, False]
    assert said[1] == ['ENOENT', 'spawn /nonexistent/python', '/nonexistent/python']
    assert said[2][:2] == ['child', 'close']
    assert len(said) == 3


def test_cp01_options(program, tmp_path):
    (tmp_path / 'inner').mkdir()
    said = program("""
        if len(sys.argv) > 1:
            print('out')
            print('err', file=sys.stderr)
            say(os.getcwd(), os.environ['MINE'], os.environ.get('TAILRACE_CHANNEL_FD'),
                    sys.flags.bytes_warning)
        else:
            child = child_process.fork(__file__, ['x'], {'cwd': 'inner', 'silent': True,
                'env': {**os.environ, 'MINE': 'yes'}, 'execArgv': ['-b']})
            child.stdout.on('data', lambda d: say('stdout', d.decode()))
            child.stderr.on('data', lambda d: say('stderr', d.decode()))
            child.on('close', lambda: say('close', child.stdin is not None))
        go()
    """)
    inner = str(tmp_path / 'inner')
    outputs = ''.join(line[1] for line in said if line[0] == 'stdout')
    assert sorted(outputs.splitlines()) == [f'["{inner}", "yes", null, 1]', 'out']
    assert ''.join(line[1] for line in said if line[0] == 'stderr') == 'err\n'
    assert said[-1] == ['close', True]


def test_cp01_an_abort_kills_the_child(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('message', lambda: None)
            process.send('up')
        else:
            stop = tailrace.AbortController()
            child = child_process.fork(__file__, ['x'], signal=stop.signal, kill_signal='SIGKILL')
            child.on('error', lambda e: say(e.code))
            child.on('message', lambda: stop.abort())
            heard(child, 'child', 'exit')
        go()
    """)
    assert said == [['ABORT_ERR'], ['child', 'exit', None, 'SIGKILL']]


def test_cp01_bad_arguments_are_refused(run):
    from tailrace import child_process, errors

    for call in (
        lambda: child_process.fork(None),
        lambda: child_process.fork('x.py', 'args'),
        lambda: child_process.fork('x.py', [], 5),
        lambda: child_process.fork('x.py', stdio='what'),
        lambda: child_process.fork('x.py', kill_signal='SIGWHAT'),
        lambda: child_process.fork('x.py', signal=5),
        lambda: child_process.fork('x.py', silent='yes'),
    ):
        with pytest.raises((errors.InvalidArgTypeError, errors.InvalidArgValueError)):
            call()


def test_cp01_the_channel_holds_the_child_only_while_it_listens(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m):
                process.send(m)
                process.off('message', message)
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            child.send(1)
            heard(child, 'child', 'message', 'exit')
        go()
    """)
    assert said == [['child', 'message', 1, None], ['child', 'exit', 0, None]]


def test_cp01_messages_wait_for_the_first_listener(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('disconnect', lambda: None)
            process.send('up')
            def later():
                def message(m):
                    say('child', m)
                    if m == 3:
                        process.disconnect()
                process.on('message', message)
            tailrace.set_timeout(later, 100)
        else:
            child = child_process.fork(__file__, ['x'])
            child.on('message', lambda: [child.send(i) for i in (1, 2, 3)])
        go()
    """)
    assert said == [['child', 1], ['child', 2], ['child', 3]]


def test_cp01_disconnect_delivers_what_was_sent_and_happens_once(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('message', lambda m: say('child', len(m)))
            process.on('disconnect', lambda: say('child', 'disconnect', process.connected))
        else:
            child = child_process.fork(__file__, ['x'])
            child.send('x' * 3_000_000)
            child.disconnect()
            say(child.connected)
            child.on('error', lambda e: say(e.code))
            child.disconnect()
            heard(child, 'parent', 'disconnect', 'exit')
        go()
    """)
    assert said[:2] == [[False], ['ERR_IPC_DISCONNECTED']]
    assert said[2] == ['parent', 'disconnect']
    assert said[3:] == [
        ['child', 3_000_000],
        ['child', 'disconnect', False],
        ['parent', 'exit', 0, None],
    ]


def test_cp01_an_unref_child_does_not_hold_the_parent(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('disconnect', lambda: say('child ends'))
        else:
            child = child_process.fork(__file__, ['x'])
            child.unref()
            child.channel.unref()
            child.on('spawn', lambda: say('spawn'))
            child.on('exit', lambda: say('never'))
            import warnings
            warnings.simplefilter('ignore', ResourceWarning)
        go()
        if len(sys.argv) == 1:
            say('parent ends')
            child.channel.drop()
            child._popen.wait()
    """)
    assert sorted(said) == [['child ends'], ['parent ends'], ['spawn']]


def test_cp02_what_json_cannot_say_is_refused_at_once(program):
    said = program("""
        if len(sys.argv) > 1:
            pass
        else:
            child = child_process.fork(__file__, ['x'])
            for call in (lambda: child.send({1, 2}), lambda: child.send('m', 'no handle'),
                         lambda: child.send('m', None, 5)):
                try:
                    call()
                except Exception as error:
                    say(error.code)
        go()
    """)
    assert said == [['ERR_INVALID_ARG_TYPE'], ['ERR_INVALID_HANDLE_TYPE'], ['ERR_INVALID_ARG_TYPE']]


def test_cp02_large_messages_in_both_directions_with_back_pressure(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m):
                process.send(m)
                if m[0] == 39:
                    process.disconnect()
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            calls, back = [], []
            child.on('message', lambda m: back.append((m[0], len(m[1]))))
            child.on('exit', lambda: say(
                back == [(i, 100_000 + i) for i in range(40)], calls == list(range(40)), full))
            full = [child.send([i, 'x' * (100_000 + i)], lambda e, i=i: calls.append(i))
                    for i in range(40)].count(False) > 30
        go()
    """)
    assert said == [[True, True, True]]


def test_cp03_a_socket_moves_to_the_child_with_what_was_not_read(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                sock.on('data', lambda d: (say('child', m, d.decode()), sock.end(b'bye')))
                sock.on('close', lambda: process.disconnect())
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            def connection(sock):
                sock.on('close', lambda: say('never'))
                child.send('here', sock, lambda e: say('sent', e))
                say(sock.pending, sock.destroyed, sock.ready_state, sock._handle is None)
                server.close()
            server = net.create_server(connection, pause_on_connect=True)
            def listening():
                sock = net.connect(server.address().port)
                sock.write('hello')
                sock.on('data', lambda d: say('client', d.decode()))
                sock.on('close', lambda e: say('client', 'close', e))
            server.listen(0, listening)
        go()
    """)
    assert said[0] == [True, False, 'open', True]
    assert sorted(said[1:], key=str) == [
        ['child', 'here', 'hello'],
        ['client', 'bye'],
        ['client', 'close', False],
        ['sent', None],
    ]


def test_cp03_what_the_parent_wrote_comes_first_and_messages_keep_their_order(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                say('child', m)
                if sock is not None:
                    sock.end(b'C')
                    sock.resume()
                    sock.on('close', lambda: process.disconnect())
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            def connection(sock):
                sock.write(b'P' * 8_000_000)
                child.send('before')
                child.send('with', sock)
                child.send('after')
                server.close()
            server = net.create_server(connection, pause_on_connect=True)
            got = []
            def listening():
                sock = net.connect(server.address().port)
                sock.on('data', got.append)
                sock.on('end', lambda: say(b''.join(got) == b'P' * 8_000_000 + b'C'))
            server.listen(0, listening)
        go()
    """)
    assert [line for line in said if line[0] == 'child'] == [
        ['child', 'before'],
        ['child', 'with'],
        ['child', 'after'],
    ]
    assert [True] in said


def test_cp03_keep_open_leaves_the_parent_its_socket(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                sock.write(b'child ')
                process.send('done')
                sock.on('end', lambda: (sock.end(), process.disconnect()))
                sock.resume()
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            def connection(sock):
                child.send('m', sock, {'keepOpen': True})
                say(sock.pending)
                child.on('message', lambda: sock.end(b'parent'))
                sock.on('finish', lambda: sock.destroy())
                server.close()
            server = net.create_server(connection, allow_half_open=True)
            got = []
            def listening():
                sock = net.connect(server.address().port)
                sock.on('data', got.append)
                sock.on('end', lambda: say(b''.join(got).decode()))
            server.listen(0, listening)
        go()
    """)
    assert said == [[False], ['child parent']]


def test_cp04_both_processes_serve_and_closing_one_leaves_the_other(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, server):
                server.on('connection', lambda sock: sock.end(b'child'))
                process.send(server.address().port)
                server.once('close', process.disconnect)
                process.on('message', lambda: server.close())
            process.once('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            server = net.create_server(lambda sock: sock.end(b'parent'))
            server.listen(0, lambda: child.send('server', server))
            def message(port):
                server.close(lambda: ask(port))
            child.once('message', message)
            def ask(port, left=3):
                sock = net.connect(port)
                sock.on('data', lambda d: say(d.decode()))
                sock.on('close', lambda: ask(port, left - 1) if left else child.send('end'))
        go()
    """)
    assert said == [['child']] * 4


def test_cp05_raw_handles_travel_by_descriptor(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, handle):
                say(m, type(handle).__name__, os.get_inheritable(handle.fd))
                if m == 'listener':
                    server = net.create_server(lambda s: s.end(b'served')).listen(handle)
                    server.once('connection', lambda: server.close(process.disconnect))
                    process.send(server.address().port)
                else:
                    sock = net.Socket(handle=handle)
                    sock.on('data', lambda d: say('data', d.decode()))
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            one, two = socket.socketpair()
            child.send('stream', two)
            two.close()
            one.sendall(b'raw')
            one.shutdown(socket.SHUT_WR)
            one.close()
            bound = net.BoundSocket(host='127.0.0.1')
            child.send('listener', bound)
            bound.close()
            def message(port):
                net.connect(port).on('data', lambda d: say(d.decode()))
            child.on('message', message)
        go()
    """)
    assert sorted(said, key=str) == [
        ['data', 'raw'],
        ['listener', 'TcpListener', False],
        ['served'],
        ['stream', 'Pipe', False],
    ]


def test_cp06_cp07_cp08_cp09_sv21_sv28_the_books_about_sent_sockets(program):
    """A sent socket frees its place, is counted by asking, and holds the server's 'close'."""
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                if m == 'end':
                    held[0].end()
                else:
                    held.append(sock.resume())
                    sock.on('close', lambda: (say('child', 'close'), process.disconnect()))
                    process.send('have it')
            held = []
            process.on('message', message)
        else:
            import warnings
            warnings.simplefilter('ignore', DeprecationWarning)
            child = child_process.fork(__file__, ['x'])
            socks = []
            def connection(sock):
                socks.append(sock)
                say('connection', server._connections, server.connections)
                if len(socks) == 1:
                    child.send('sock', sock)
                    return
                server.get_connections(counted)
                say('asked')
            def counted(error, n):
                say('count', error, n, server.connections)
                server.close(lambda: say('closed'))
                sock = socks[1]
                sock.on('close', lambda: child.send('end'))
                sock.end()
                sock.resume()
            server = net.create_server(connection, max_connections=1)
            server.on('drop', lambda: say('drop'))
            server.listen(0, lambda: net.connect(server.address().port).resume())
            child.on('message', lambda: net.connect(server.address().port).resume())
        go()
    """)
    assert said[:4] == [
        ['connection', 1, 1],
        ['connection', 1, None],
        ['asked'],
        ['count', None, 2, None],
    ]
    assert sorted(said[4:]) == [['child', 'close'], ['closed']]


def test_am64_a_child_that_dies_counts_nothing_and_holds_nothing(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('message', lambda: process.send('have it'))
        else:
            child = child_process.fork(__file__, ['x'])
            server = net.create_server(lambda sock: child.send('sock', sock), pause_on_connect=True)
            def have_it():
                child.kill('SIGSTOP')
                server.get_connections(lambda e, n: say('count', e, n))
                server.close(lambda: say('closed'))
                child.kill('SIGKILL')
            child.on('message', have_it)
            child.on('exit', lambda: say('exit'))
            server.listen(0, lambda: net.connect(server.address().port).resume())
        go()
    """)
    assert said == [['count', None, 0], ['closed'], ['exit']]


def test_am64_a_child_that_cannot_be_asked_is_an_error(program):
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                sock.on('close', lambda: say('gone'))
                sock.resume()
                process.disconnect()
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            server = net.create_server(lambda sock: child.send('sock', sock), pause_on_connect=True)
            def disconnected():
                server.get_connections(lambda e, n: say(e.code, n))
                server.close(lambda: (say('closed'), client.end()))
            child.on('disconnect', disconnected)
            def listening():
                global client
                client = net.connect(server.address().port)
                client.resume()
            server.listen(0, listening)
        go()
    """)
    assert said == [['ERR_CHILD_CLOSED_BEFORE_REPLY', None], ['closed'], ['gone']]


def test_a_child_that_dies_with_a_handle_in_flight_is_reported(program):
    """The client of that connection sees its end, too: nobody keeps it open by mistake."""
    said = program("""
        if len(sys.argv) > 1:
            process.on('message', lambda: None)
            process.send('up')
        else:
            child = child_process.fork(__file__, ['x'])
            def connection(sock):
                child.kill('SIGSTOP')
                child.send('sock', sock, lambda e: say('callback', e.code))
                child.send('sock', one, lambda e: say('second', e.code))
                child.kill('SIGKILL')
                server.close()
            one, two = socket.socketpair()
            server = net.create_server(connection, pause_on_connect=True)
            child.on('message', lambda: server.listen(0, listening))
            child.on('exit', lambda: (one.close(), two.close()))
            def listening():
                client = net.connect(server.address().port)
                client.on('error', lambda e: say('client', e.code))
                client.on('close', lambda: say('client close'))
                client.resume()
        go()
    """)
    assert said[:2] == [
        ['callback', 'ERR_CHILD_CLOSED_BEFORE_REPLY'],
        ['second', 'ERR_CHILD_CLOSED_BEFORE_REPLY'],
    ]
    assert said[-1] == ['client close']


def test_cp08_close_before_the_last_connection_is_sent(program):
    """Node 24 never says 'close' here."""
    said = program("""
        if len(sys.argv) > 1:
            def message(m, sock):
                sock.resume()
                sock.on('close', lambda: process.disconnect())
                process.send('have it')
            process.on('message', message)
        else:
            child = child_process.fork(__file__, ['x'])
            def connection(sock):
                server.close(lambda: say('closed'))
                child.send('sock', sock)
                child.on('message', lambda: (say('have it'), client.end()))
            server = net.create_server(connection, pause_on_connect=True)
            def listening():
                global client
                client = net.connect(server.address().port).resume()
            server.listen(0, listening)
        go()
    """)
    assert said == [['have it'], ['closed']]


def test_a_lost_handle_that_nobody_asked_about_is_a_warning(program):
    said = program("""
        if len(sys.argv) > 1:
            process.on('message', lambda: None)
            process.send('up')
        else:
            import warnings
            warnings.showwarning = lambda text, category, *_: say(category.__name__)
            warnings.simplefilter('always')
            one, two = socket.socketpair()
            child = child_process.fork(__file__, ['x'])
            def up():
                child.kill('SIGSTOP')
                child.send('sock', one)
                child.kill('SIGKILL')
                one.close()
                two.close()
            child.on('message', up)
        go()
    """)
    assert said == [['RuntimeWarning']]


def test_without_pidfds_a_thread_waits_for_the_end(program):
    said = program("""
        from tailrace._cluster import reaper
        reaper._open_pidfd = lambda pid: -1
        if len(sys.argv) > 1:
            process.send('up')
            process.on('message', lambda: sys.exit(4))
        else:
            child = child_process.fork(__file__, ['x'])
            child.on('message', lambda: child.send('end'))
            heard(child, 'child', 'disconnect', 'exit', 'close')
        go()
    """)
    assert sorted(said[:2], key=str) == [['child', 'disconnect'], ['child', 'exit', 4, None]]
    assert said[2] == ['child', 'close', 4, None]


@pytest.mark.parametrize(
    ('words', 'flags'),
    [
        (['python', 'x.py', '-v'], []),
        (['python', '-X', 'dev', '-Werror', '-O', 'x.py'], ['-X', 'dev', '-Werror', '-O']),
        (['python', '-I', '-m', 'module', '-v'], ['-I']),
        (['python', '-c', 'pass'], []),
        (['python'], []),
    ],
)
def test_a_child_gets_the_flags_of_this_interpreter(monkeypatch, words, flags):
    from tailrace._cluster.child import interpreter_flags

    monkeypatch.setattr('sys.orig_argv', words)
    assert interpreter_flags() == flags


def test_where_descriptors_cannot_be_sent_there_are_no_children(monkeypatch):
    from tailrace import child_process, cluster

    monkeypatch.delattr('socket.SCM_RIGHTS')
    for call in (lambda: child_process.fork('x.py'), lambda: cluster.serve(print)):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert caught.value.code == 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'
