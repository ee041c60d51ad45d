"""``cluster``: every row CL, with real workers. Orders of events are those of Node 24."""

from __future__ import annotations

import sys

import pytest

#: Workers answer with their number and end when they are told to; clients are in the primary.
ASK = """
    def ask(port, done, host='127.0.0.1'):
        sock = net.connect(port, host) if isinstance(port, int) else net.connect(port)
        got = []
        sock.on('data', got.append)
        sock.on('error', lambda e: got.append(e.code.encode()))
        sock.on('close', lambda: done(b''.join(got).decode()))
        return sock

    def ask_all(port, count, done, answers=None):
        answers = answers or []
        def answered(text):
            answers.append(text)
            if len(answers) < count:
                ask(port, answered)
            else:
                done(answers)
        ask(port, answered)

    def when_listening(count, done):
        ports = []
        def listening(worker, where):
            ports.append(where.port if where.port > 0 else where.address)
            if len(ports) == count:
                done(ports)
        cluster.on('listening', listening)
        return [cluster.fork() for _ in range(count)]

    def greet(sock):
        sock.end(str(cluster.worker.id).encode())
"""

POLICIES = pytest.mark.parametrize(
    'policy', ['rr', 'none', 'reuseport'] if sys.platform == 'linux' else ['rr', 'none']
)


@POLICIES
def test_cl01_cl04_workers_share_port_0(program, policy):
    """The same port for all; every connection is served by one of them."""
    said = program(
        ASK
        + """
    if cluster.is_primary:
        say(cluster.is_worker, cluster.worker, cluster.isPrimary)
        def listening(ports):
            say(len(set(ports)))
            def done(answers):
                say(len(answers), set(answers) <= {'1', '2'})
                cluster.disconnect(lambda: say('all gone', list(cluster.workers)))
            ask_all(ports[0], 20, done)
        when_listening(2, listening)
    else:
        assert cluster.is_worker and not cluster.is_primary
        net.create_server(greet).listen(0)
    go()
    """,
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said == [[False, None, True], [1], [20, True], ['all gone', []]]


def test_cl02_cl03_life_of_a_worker(program):
    """Recorded from Node 24.21 with the same program."""
    said = program("""
        if cluster.is_primary:
            heard(cluster, 'cluster', 'fork', 'online', 'listening', 'message')
            heard(cluster, 'cluster', 'disconnect', 'exit')
            cluster.on('setup', lambda s: say('cluster', 'setup', s.exec == __file__, s.silent))
            worker = cluster.fork()
            say(worker.id, worker.is_dead(), worker.is_connected(),
                worker.exited_after_disconnect, list(cluster.workers))
            heard(worker, 'worker', 'online', 'message', 'disconnect', 'exit')
            heard(worker.process, 'process', 'spawn', 'message', 'disconnect', 'exit', 'close')
            def listening(where):
                say('worker', 'listening', where.address_type, where.address, where.port > 0)
                worker.send('hi')
            worker.on('listening', listening)
            def message():
                say(worker.disconnect() is worker, worker.exited_after_disconnect)
            worker.on('message', message)
            worker.on('disconnect', lambda: say(worker.is_connected(), worker.is_dead()))
            worker.on('exit', lambda: say(worker.is_connected(), worker.is_dead()))
        else:
            worker = cluster.worker
            events = []
            worker.on('message', lambda m: (events.append('worker message'), process.send('bye')))
            process.on('message', lambda m: events.append('process message'))
            worker.on('disconnect', lambda: events.append(worker.exited_after_disconnect))
            process.on('disconnect', lambda: say('W', events))
            server = net.create_server().listen(0)
            server.on('close', lambda: events.append('server close'))
        go()
    """)
    inside = [line for line in said if line[0] == 'W']
    assert inside == [['W', ['worker message', 'process message', 'server close', True]]]
    said.remove(inside[0])
    where = next(line[2] for line in said if line[:2] == ['cluster', 'listening'])
    assert said == [
        [1, False, True, None, [1]],
        ['cluster', 'setup', True, False],
        ['process', 'spawn'],
        ['cluster', 'fork'],
        ['worker', 'online'],
        ['cluster', 'online'],
        ['worker', 'listening', 4, None, True],
        ['cluster', 'listening', where],
        ['cluster', 'message', 'bye', None],
        ['worker', 'message', 'bye', None],
        [True, True],
        ['process', 'message', 'bye', None],
        ['worker', 'disconnect'],
        [False, False],
        ['cluster', 'disconnect'],
        ['process', 'disconnect'],
        ['worker', 'exit', 0, None],
        [False, True],
        ['cluster', 'exit', 0, None],
        ['process', 'exit', 0, None],
        ['process', 'close', 0, None],
    ]


def test_cl02_setup_primary_kill_and_environment(program, tmp_path):
    (tmp_path / 'other.py').write_text(
        'import os, sys\nfrom kit import say, go\nfrom tailrace import cluster\n'
        "hidden = 'TAILRACE_UNIQUE_ID' not in os.environ\n"
        "say(sys.argv[1:], os.environ['MINE'], cluster.worker.id, not hidden)\n"
        'go()\n'
    )
    said = program("""
        cluster.setup_primary(exec='other.py', args=['--one', 'two'])
        cluster.fork({'MINE': 1})
        worker = cluster.setupPrimary() or cluster.fork({'MINE': 2})
        say(cluster.settings.args, worker.exited_after_disconnect)
        def online(worker):
            worker.kill() if worker.id == 1 else worker.kill('SIGKILL')
        cluster.on('online', lambda w: tailrace.set_timeout(online, 200, w))
        cluster.on('exit', lambda w, code, name: say(w.id, code, name, w.exited_after_disconnect))
        go()
    """)
    assert said[0] == [['--one', 'two'], None]
    assert sorted(said[1:3], key=str) == [
        [['--one', 'two'], '1', 1, False],
        [['--one', 'two'], '2', 2, False],
    ]
    assert sorted(said[3:]) == [[1, None, 'SIGTERM', False], [2, None, 'SIGKILL', False]]


def test_cl02_a_worker_ends_itself_and_with_its_primary(start):
    running = start("""
        if cluster.is_primary:
            cluster.on('exit', lambda w, code: say('exit', w.id, code, w.exited_after_disconnect))
            cluster.on('online', lambda w: w.id == 2 and w.send('end'))
            [cluster.fork() for _ in range(2)]
        else:
            cluster.worker.on('message', lambda: cluster.worker.kill())
            say('up', os.getpid())
        go()
    """)
    said = running.hear_until('exit')
    assert said[-1] == ['exit', 2, 0, True]
    running.process.kill()
    running.end(errors=True)  # stdout ends when the last worker has closed it: none is left


def test_cl05_ls14_ex09_exclusive_listens_alone(program):
    said = program("""
        if cluster.is_primary:
            cluster.on('message', lambda w, m: (say(m), m[0] == 'error' and cluster.disconnect()))
            cluster.on('listening', lambda w, where: cluster.fork({'PORT': where.port})
                       if len(cluster.workers) == 1 else say('never'))
            cluster.fork({'PORT': 0})
        else:
            server = net.create_server()
            server.on('error', lambda e: process.send(['error', e.code, e.syscall]))
            server.listen(port=int(os.environ['PORT']), exclusive=True)
            if os.environ['PORT'] == '0':
                def listening():
                    address = server.address()
                    say(server._handle.fd >= 0)
                    cluster._cluster.tell({'act': 'listening', 'addressType': 4, 'address': None,
                                           'port': address.port})
                    process.on('disconnect', server.close)
                server.on('listening', listening)
        go()
    """)
    assert said == [[True], [['error', 'EADDRINUSE', 'listen']]]


LIMIT = (
    ASK
    + """
    if cluster.is_primary:
        def listening(ports):
            first, second = [], []
            def open(where):
                sock = net.connect(ports[0])
                sock.on('data', lambda d: (where.append(d), changed()))
                sock.on('end', lambda: where.append(b'end') or changed())
                return sock
            one, two = open(first), open(second)
            def changed():
                global third
                if len(first) == len(second) == 1 and third is None:
                    say(sorted([first[0].decode(), second[0].decode()]))
                    third = ask(ports[0], lambda text: (say('third', text), one.end(), two.end(),
                                                        cluster.disconnect()))
                    if DROP is None:
                        tailrace.set_timeout(lambda: (say('room'), one.end()), 200)
        cluster.on('message', lambda w, m: say(m))
        when_listening(2, listening)
    else:
        count = 0
        def connection(sock):
            global count
            count += 1
            sock.resume()
            sock.write(str(cluster.worker.id))
            if count == 2:
                sock.end()
        server = net.create_server(connection, max_connections=1)
        server.drop_max_connection = DROP
        server.on('drop', lambda data: process.send(['drop', data.remoteFamily]))
        server.listen(0, '127.0.0.1')
    go()
    """
)


@pytest.mark.parametrize('policy', ['rr', 'none'])
def test_cl06_am63_sv23_a_full_worker_passes_connections_on(program, policy):
    """Two workers with room for one each: the third connection waits until one of them has room."""
    source = '\n    third = None\n    DROP = None\n' + LIMIT
    said = program(source, TAILRACE_CLUSTER_SCHED_POLICY=policy)
    assert said[:2] == [[['1', '2']], ['room']]
    assert said[2][0] == 'third'
    assert said[2][1] in ('1', '2')
    assert len(said) == 3


def test_cl07_sv25_drop_max_connection_drops_instead(program):
    source = '\n    third = None\n    DROP = True\n' + LIMIT
    said = program(source)
    assert said[0] == [['1', '2']]
    assert sorted(said[1:], key=str) == [['third', ''], [['drop', 'IPv4']]]


@pytest.mark.skipif(sys.platform != 'linux', reason='TCP_INFO tells the backlog on Linux only')
@pytest.mark.parametrize('policy', ['rr', 'none'])
def test_cl08_ls27_the_first_backlog_counts(program, policy):
    said = program(
        """
        if cluster.is_primary:
            backlogs = [3, 9]
            def listening(worker):
                if backlogs:
                    cluster.fork({'BACKLOG': backlogs.pop(0)})
                    return
                handle = next(iter(cluster._cluster._places.values())).handle
                # tcp(7): of a listening socket tcpi_sacked is the limit of its queue.
                info = handle._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
                say(int.from_bytes(info[28:32], sys.byteorder))
                cluster.disconnect()
            cluster.on('listening', listening)
            listening(None)
        else:
            net.create_server().listen(0, '127.0.0.1', int(os.environ['BACKLOG']))
        go()
        """,
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said == [[3]]


def test_cl09_round_robin_alternates(program):
    said = program(
        ASK
        + """
    if cluster.is_primary:
        say(cluster.scheduling_policy == cluster.SCHED_RR)
        def listening(ports):
            ask_all(ports[0], 6, lambda answers: (say(answers), cluster.disconnect()))
        when_listening(2, listening)
    else:
        net.create_server(greet).listen(0)
    go()
    """
    )
    assert said[0] == [True]
    assert said[1][0] in (['1', '2'] * 3, ['2', '1'] * 3)


def test_cl09_the_policy_is_set_before_the_first_fork(program):
    said = program(
        """
        if cluster.is_primary:
            cluster.schedulingPolicy = cluster.SCHED_NONE
            cluster.on('message', lambda w, m: (say(m), cluster.disconnect()))
            cluster.fork()
            cluster.scheduling_policy = cluster.SCHED_RR
        else:
            server = net.create_server()
            server.listen(0, lambda: process.send(server._handle.fd >= 0))
        go()
        """
    )
    assert said == [[True]]


@POLICIES
def test_cl10_a_worker_that_closes_leaves_the_others(program, policy):
    said = program(
        ASK
        + """
    if cluster.is_primary:
        def listening(ports):
            def closed(worker, message):
                if message == 'closed':
                    ask_all(ports[0], 5, lambda answers: (say(answers), workers[1].send('close')))
                else:
                    ask(ports[0], lambda text: (say(text), cluster.disconnect()))
            cluster.on('message', lambda w, m: closed(w, m) if w.id == 1 else again())
            def again():
                ask(ports[0], lambda text: (say(text), cluster.disconnect()))
            workers[0].send('close')
        workers = when_listening(2, listening)
    else:
        server = net.create_server(greet).listen(0)
        process.on('message', lambda: server.close(lambda: process.send('closed')))
    go()
    """,
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said == [[['2'] * 5], ['ECONNREFUSED']]


@pytest.mark.skipif(sys.platform != 'linux', reason='where the option spreads connections')
def test_cl11_reuse_port_is_exclusive(program):
    said = program(
        ASK
        + """
    if cluster.is_primary:
        hold = net.BoundSocket(host='127.0.0.1', reuse_port=True)
        port = hold.address().port
        ready = []
        def message(worker, text):
            ready.append(text)
            if len(ready) == 2:
                hold.close()
                ask_all(port, 20, lambda answers: (say(sorted(ready), set(answers) <= {'1', '2'},
                    len(cluster._cluster._places)), cluster.disconnect()))
        cluster.on('message', message)
        [cluster.fork({'PORT': port}) for _ in range(2)]
    else:
        server = net.create_server(greet)
        process.on('disconnect', server.close)
        server.listen(port=int(os.environ['PORT']), host='127.0.0.1', reuse_port=True,
                      callback=lambda: process.send(server._handle.fd >= 0))
    go()
    """
    )
    assert said == [[[True, True], True, 0]]


@pytest.mark.parametrize('policy', ['rr', 'none'])
def test_cl12_workers_share_a_path_that_goes_with_the_last(program, policy, tmp_path):
    said = program(
        ASK
        + """
    if cluster.is_primary:
        def listening(paths):
            say(len(set(paths)), os.path.isabs(paths[0]))
            def done(answers):
                say(set(answers) <= {'1', '2'}, os.path.exists(paths[0]))
                cluster.disconnect(lambda: say(os.path.exists(paths[0])))
            ask_all(paths[0], 6, done)
        when_listening(2, listening)
    else:
        server = net.create_server(greet).listen('sock')
    go()
    """,
        TAILRACE_CLUSTER_SCHED_POLICY=policy,
    )
    assert said == [[1, True], [True, True], [False]]


def test_cl04_errors_of_the_bind_are_told_in_the_worker(program):
    """Codes, syscalls and addresses as Node 24.21 gives them."""
    said = program("""
        if cluster.is_primary:
            taken = net.create_server()
            def listening():
                cluster.fork({'PORT': taken.address().port})
            taken.listen(0, listening)
            cluster.on('message', lambda w, m: said.append(m) or len(said) == 3 and end())
            said = []
            def end():
                [say(*m) for m in sorted(said)]
                cluster.disconnect()
                taken.close()
        else:
            def server(name, *where):
                failed = lambda e: process.send(
                    [name, e.code, e.syscall, e.address, e.port == PORT or e.port])
                net.create_server().on('error', failed).listen(*where)
            PORT = int(os.environ['PORT'])
            server('any', PORT)
            server('host', PORT, '127.0.0.1')
            server('path', '/nonexistent/sock')
        go()
    """)
    assert said == [
        ['any', 'EADDRINUSE', 'bind', None, True],
        ['host', 'EADDRINUSE', 'bind', '127.0.0.1', True],
        ['path', 'EACCES', 'bind', '/nonexistent/sock', -1],
    ]


def test_cl04_close_before_the_primary_has_answered(program):
    said = program("""
        if cluster.is_primary:
            cluster.on('message', lambda w, m: (say(m), cluster.disconnect()))
            cluster.fork()
            cluster.on('exit', lambda: say(len(cluster._cluster._places)))
        else:
            server = net.create_server()
            server.on('listening', lambda: say('never'))
            server.listen(0)
            server.close(lambda e: process.send(e.code))
        go()
    """)
    assert said == [['ERR_SERVER_NOT_RUNNING'], [0]]


def test_cl04_two_servers_on_port_0_get_two_ports_and_the_same_in_each_worker(program):
    said = program("""
        if cluster.is_primary:
            ports = []
            def message(worker, port):
                ports.append(port)
                if len(ports) == 4:
                    say(len(set(ports)))
                    cluster.disconnect()
            cluster.on('message', message)
            cluster.fork()
            cluster.fork()
        else:
            for _ in range(2):
                server = net.create_server()
                server.listen(0, lambda server=server: process.send(server.address().port))
        go()
    """)
    assert said == [[2]]


def test_a_worker_that_dies_loses_only_its_own_connections(program):
    """What it was given and never took goes to the other one, unread."""
    said = program(
        ASK
        + """
    if cluster.is_primary:
        def listening(ports):
            workers[0].process.kill('SIGSTOP')
            answers = []
            def answered(text):
                answers.append(text)
                if len(answers) == 5:
                    say(answers)
                    workers[0].process.kill('SIGKILL')
                if len(answers) == 10:
                    say(answers[5:])
                    cluster.disconnect()
            for _ in range(10):
                ask(ports[0], answered)
        workers = when_listening(2, listening)
        cluster.on('exit', lambda w, code, name: say(w.id, name))
    else:
        net.create_server(greet).listen(0)
    go()
    """
    )
    assert said[0] == [['2'] * 5]
    assert sorted(said[1:], key=str) == [[1, 'SIGKILL'], [2, None], [['2'] * 5]]


def test_under_asyncio_run_a_worker_serves_too(program):
    """The channel goes over to the loop that somebody else runs."""
    said = program(
        ASK
        + """
    import asyncio
    if cluster.is_primary:
        def listening(ports):
            ask_all(ports[0], 4, lambda answers: (say(sorted(answers)), cluster.disconnect()))
        when_listening(2, listening)
        cluster.on('exit', lambda w, code: say(code))
        go()
    else:
        async def main():
            server = await net.create_server(greet).listen(0)
            gone = asyncio.Event()
            process.on('disconnect', gone.set)
            await gone.wait()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
    """
    )
    assert said == [[['1', '1', '2', '2']], [0], [0]]


def test_python_m_tailrace_runs_modules_and_their_workers(start, tmp_path):
    package = tmp_path / 'pack'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'part.py').write_text('word = "relative"\n')
    (package / '__main__.py').write_text(
        'from .part import word\nfrom kit import say\nfrom tailrace import cluster\n'
        'if cluster.is_primary:\n    cluster.fork()\n'
        '    cluster.on("online", lambda w: cluster.disconnect())\n'
        'else:\n    say(word)\n'
    )
    running = start("""
        import runpy
        from tailrace._program import main
        sys.path.insert(0, os.getcwd())
        os.environ['PYTHONPATH'] += os.pathsep + os.getcwd()
        main(['-m', 'pack'])
    """)
    assert running.end() == [['relative']]


def test_cl04_a_descriptor_is_the_primarys(program):
    said = program(
        ASK
        + """
    if cluster.is_primary:
        bound = net.BoundSocket(host='127.0.0.1')
        port = bound.address().port
        def listening(worker, where):
            say(where.address, where.port > 0)
            ask(port, lambda text: (say(text), cluster.disconnect(), bound.close()))
        cluster.on('listening', listening)
        cluster.fork({'FD': bound.fd()})
    else:
        net.create_server(greet).listen(fd=int(os.environ['FD']))
    go()
    """
    )
    assert said == [[None, True], ['1']]


def test_a_worker_without_descriptors_passes_connections_on(program):
    """RLIMIT_NOFILE in one worker: all clients are served, by that one or the other."""
    said = program(
        ASK
        + """
    import resource
    if cluster.is_primary:
        def listening(ports):
            held, served = [], []
            def data(d):
                served.append(d)
                if len(served) == 60:
                    first = served.count(b'1')
                    say(0 < first < 20, first + served.count(b'2'))
                    for sock in held:
                        sock.end()
                    cluster.disconnect()
            for _ in range(60):
                sock = net.connect(ports[0], '127.0.0.1')
                sock.on('data', data)
                held.append(sock)
        when_listening(2, listening)
    else:
        def connection(sock):
            sock.resume()
            sock.write(str(cluster.worker.id))
        server = net.create_server(connection)
        def listening():
            if cluster.worker.id == 1:
                highest = max(map(int, os.listdir('/dev/fd')))
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 15, highest + 15))
        server.listen(0, '127.0.0.1', listening)
    go()
    """
    )
    assert said == [[True, 60]]
