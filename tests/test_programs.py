"""How a program lives and ends: tailrace.run, python -m tailrace, its flags (GEN-11, CO, EX)."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

import tailrace

from .programs import PATIENCE, first_line, python, running

HEAD = 'import sys, tailrace\nfrom tailrace import net\n'


def script(folder: Path, text: str, name: str = 'program.py') -> Path:
    path = folder / name
    path.write_text(HEAD + text)
    return path


def both(folder: Path, text: str) -> list[tuple[int, str, str]]:
    """Status, output and errors of ``main`` under tailrace.run and of the same as a script."""
    with ExitStack() as stack:
        # A program may end with something open; the interpreter says so when it goes.
        pair = [
            stack.enter_context(running(['-W', 'ignore::ResourceWarning', *arguments]))
            for arguments in (
                [script(folder, text + '\ntailrace.run(main)\n', 'a.py')],
                ['-m', 'tailrace', script(folder, text + '\nmain()\n', 'b.py')],
            )
        ]
        out = []
        for process in pair:
            output, errors = process.communicate(timeout=PATIENCE)
            out.append((process.returncode, output, errors))
        return out


ENDS = {
    'unref': 'net.create_server().listen(0).unref()',
    'unref before listen': 'net.create_server().unref().listen(port=0, host="localhost")',
    'closed': 's = net.create_server().listen(0, lambda: s.close())',
    'failed listen': 'net.create_server().on("error", lambda: None).listen(0, "192.0.2.1")',
    'never connected socket': 'net.Socket().set_timeout(100000)',
    'unref timer': 'tailrace.set_timeout(print, 100000).unref()',
    'sockets closed': (
        's = net.create_server(lambda c: c.end("x"))\n'
        '    s.listen(0, lambda: net.connect(s.address().port).resume().on("close", s.close))'
    ),
    'aborted': (
        'a = tailrace.AbortController()\n'
        '    net.create_server().listen({"port": 0, "signal": a.signal}, a.abort)'
    ),
}


@pytest.mark.parametrize('what', ENDS)
def test_gen11_sv27_ends_by_itself(tmp_path: Path, what: str) -> None:
    text = f'def main():\n    {ENDS[what]}\n    print("main done", flush=True)\n'
    assert both(tmp_path, text) == [(0, 'main done\n', '')] * 2


STAYS = {
    'listening': 'net.create_server().listen(0)',
    'ref after unref': 'net.create_server().unref().ref().listen(0)',
    'ref while listening': 's = net.create_server().unref().listen(0); s.ref()',
    'open connection': (
        's = net.create_server(lambda c: c.resume()).unref()\n'
        '    s.listen(0, lambda: net.connect(s.address().port).resume())'
    ),
    'interval': 'tailrace.set_interval(lambda: None, 100)',
}


@pytest.mark.parametrize('what', STAYS)
def test_gen11_sv26_does_not_end_by_itself(tmp_path: Path, what: str) -> None:
    # The timer that looks keeps nothing alive: it fires only in a program that lives.
    text = (
        f'def main():\n    {STAYS[what]}\n'
        '    tailrace.set_timeout(lambda: print(len(tailrace.active_resources()) > 0, flush=True),'
        ' 300).unref()\n'
        'tailrace.run(main)\n'
    )
    with running([script(tmp_path, text)]) as process:
        assert first_line(process) == 'True'
        assert process.poll() is None


def test_gen11_run_waits_for_main_and_returns_its_result(tmp_path: Path) -> None:
    text = (
        'import asyncio\n'
        'async def main():\n    await asyncio.sleep(0.01)\n    return 5\n'
        'print(tailrace.run(main), tailrace.run(main()), tailrace.run(lambda: 6), tailrace.run())\n'
    )
    done = python([script(tmp_path, text)])
    assert (done.returncode, done.stdout, done.stderr) == (0, '5 5 6 None\n', '')


FAILS = {
    'a connection listener': (
        'def fail(sock):\n        raise ValueError("mine")\n'
        '    s = net.create_server(fail, on_error="raise")\n'
        '    s.listen(0, lambda: net.connect(s.address().port))'
    ),
    'a coroutine listener of no socket': (
        'async def fail():\n        raise ValueError("mine")\n'
        '    s = net.create_server().on("listening", fail)\n'
        '    s.listen(0)'
    ),
    'a listening callback': (
        'def fail():\n        raise ValueError("mine")\n    net.create_server().listen(0, fail)'
    ),
    'a timer': (
        'def fail():\n        raise ValueError("mine")\n'
        '    tailrace.set_timeout(fail, 1)\n    net.create_server().listen(0)'
    ),
    'a tick': (
        'def fail():\n        raise ValueError("mine")\n'
        '    tailrace.next_tick(fail)\n    net.create_server().listen(0)'
    ),
    'main': 'net.create_server().listen(0)\n    raise ValueError("mine")',
    'an error listener': (
        'def fail(error):\n        raise ValueError("mine") from error\n'
        '    net.create_server().on("error", fail).listen(0, "192.0.2.1")'
    ),
    'a close callback': (
        'def fail():\n        raise ValueError("mine")\n'
        '    s = net.create_server().listen(0)\n    s.close(fail)\n'
        '    net.create_server().listen(0)'
    ),
}


@pytest.mark.parametrize('what', FAILS)
def test_gen12_an_exception_ends_the_program_with_its_traceback(tmp_path: Path, what: str) -> None:
    text = f'def main():\n    {FAILS[what]}\n'
    for status, output, errors in both(tmp_path, text):
        assert (status, output) == (1, ''), errors
        lines = [line for line in errors.splitlines() if line[:5] not in ('This ', 'To ha')]
        assert lines[-1] == 'ValueError: mine'
        assert errors.count('ValueError: mine') == 1


def test_gen12_an_error_event_that_nobody_hears_ends_the_program(tmp_path: Path) -> None:
    text = 'def main():\n    net.create_server().listen(0, "192.0.2.1")\n'
    for status, _, errors in both(tmp_path, text):
        assert status == 1
        *_, error, who, how = errors.splitlines()
        assert 'listen EADDRNOTAVAIL 192.0.2.1' in error
        assert who == "This is the 'error' event of a Server, and nothing listens for it."
        assert how == "To handle it: .on('error', listener)"


RESET = """
import socket, struct
def main():
    peer = socket.create_server(('127.0.0.1', 0))
    sock = net.connect(peer.getsockname()[1], '127.0.0.1')
    def reset():
        accepted, _ = peer.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        accepted.close()
        peer.close()
    sock.on('connect', reset)
"""


def test_an_unheard_error_names_its_socket_and_shows_only_the_program(tmp_path: Path) -> None:
    for status, _, errors in both(tmp_path, RESET):
        assert status == 1
        assert 'ECONNRESET' in errors
        who = errors.splitlines()[-2]
        ends = r'a Socket to 127\.0\.0\.1:\d+ from 127\.0\.0\.1:\d+, and nothing'
        assert re.search(ends, who), errors
        assert 'asyncio' not in errors
        assert '_tick.py' not in errors


def test_in_development_mode_it_also_tells_where_the_socket_was_made(tmp_path: Path) -> None:
    file = tmp_path / 'program.py'
    file.write_text(f'import tailrace\nfrom tailrace import net\n{RESET}tailrace.run(main)\n')
    with running(['-X', 'dev', file]) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    line = 1 + file.read_text().splitlines().index(
        "    sock = net.connect(peer.getsockname()[1], '127.0.0.1')"
    )
    assert f'(made at {file}:{line})' in errors
    assert '_tick.py' in errors  # all frames, for who develops the library


def test_gen12_run_raises_the_very_exception(tmp_path: Path) -> None:
    text = (
        'mine = ValueError("mine")\n'
        'def fail(sock):\n    raise mine\n'
        'def main():\n'
        '    s = net.create_server(fail, on_error="raise")\n'
        '    s.listen(0, lambda: net.connect(s.address().port))\n'
        'try:\n    tailrace.run(main)\n'
        'except ValueError as error:\n    print(error is mine)\n'
    )
    done = python([script(tmp_path, text)])
    assert (done.returncode, done.stdout) == (0, 'True\n')


@pytest.mark.parametrize(
    ('where', 'leave', 'status'),
    [
        ('listener', 'sys.exit(3)', 3),
        ('tick', 'sys.exit("why")', 1),
        ('coroutine', 'raise SystemExit(4)', 4),
        ('main', 'sys.exit()', 0),
    ],
)
def test_system_exit_ends_the_program_with_its_status(
    tmp_path: Path, where: str, leave: str, status: int
) -> None:
    body = {
        'listener': 'def go():\n        {}\n    net.create_server().listen(0, go)',
        'tick': 'def go():\n        {}\n    net.create_server().listen(0)\n'
        '    tailrace.next_tick(go)',
        'coroutine': 'async def go():\n        {}\n    net.create_server().listen(0, go)',
        'main': 'net.create_server().listen(0)\n    {}',
    }[where].format(leave)
    for code, output, errors in both(tmp_path, f'def main():\n    {body}\n'):
        assert (code, output) == (status, ''), errors
        assert errors == ('why\n' if 'why' in leave else '')


def test_system_exit_in_main_is_told_once(tmp_path: Path) -> None:
    text = 'import sys\nasync def main():\n    sys.exit("why")\ntailrace.run(main)\n'
    done = python([script(tmp_path, text)])
    assert (done.returncode, done.stderr) == (1, 'why\n')


def test_keyboard_interrupt_ends_the_program_without_a_traceback(tmp_path: Path) -> None:
    text = 'def main():\n    net.create_server().listen(0, lambda: print("up", flush=True))\n'
    for arguments in (
        [script(tmp_path, text + 'tailrace.run(main)\n', 'a.py')],
        ['-m', 'tailrace', script(tmp_path, text + 'main()\n', 'b.py')],
    ):
        with running(['-W', 'ignore::ResourceWarning', *arguments]) as process:
            assert first_line(process) == 'up'
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=20)[1]
            assert (process.returncode, errors) == (-signal.SIGINT, '')


def test_what_fails_while_it_is_interrupted_is_shown(tmp_path: Path) -> None:
    text = (
        'import asyncio\n'
        'async def main():\n    print("up", flush=True)\n'
        '    try:\n        await asyncio.Event().wait()\n'
        '    finally:\n        raise ValueError("cleaning up")\ntailrace.run(main)\n'
    )
    path = script(tmp_path, text, 'a.py')
    with running(['-W', 'ignore::ResourceWarning', path]) as process:
        assert first_line(process) == 'up'
        process.send_signal(signal.SIGINT)
        assert 'ValueError: cleaning up' in process.communicate(timeout=20)[1]


# -- python -m tailrace ----------------------------------------------------------------------------


def test_m_gives_the_script_its_arguments_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / 'beside.py').write_text('x = 5\n')
    text = (
        'import beside\n'
        'print(__name__, sys.argv[1:], beside.x)\n'
        'def later():\n    print("later", beside.x)\n'
        'tailrace.set_timeout(later, 1)\n'
    )
    path = script(tmp_path, text)
    done = python(['-m', 'tailrace', path, 'one', '--two', '-h'])
    assert done.stdout == "__main__ ['one', '--two', '-h'] 5\nlater 5\n"
    assert (done.returncode, done.stderr) == (0, '')
    done = python(['-m', 'tailrace', 'program.py'], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, '')


def test_m_script_sees_its_own_globals_in_late_callbacks(tmp_path: Path) -> None:
    text = (
        'value = 1\n'
        'def on_listening():\n    print(value, server.listening)\n    server.close()\n'
        'server = net.create_server().listen(0, on_listening)\n'
        'value = 2\n'
    )
    done = python(['-m', 'tailrace', script(tmp_path, text)])
    assert (done.returncode, done.stdout, done.stderr) == (0, '2 True\n', '')


SHOW = (
    'print(net.get_default_auto_select_family(),'
    ' net.get_default_auto_select_family_attempt_timeout(), sys.argv[1:])\n'
)
NO = '--no-network-family-autoselection'
YES = '--network-family-autoselection'
OLD = '--enable-network-family-autoselection'
TIME = '--network-family-autoselection-attempt-timeout'


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        ([NO], 'False 250'),
        ([OLD], 'True 250'),
        ([NO, YES, TIME, '500'], 'True 500'),
        ([NO, f'{TIME}=5'], 'False 10'),
    ],
)
def test_co01_co02_co03_flags(tmp_path: Path, flags: list[str], said: str) -> None:
    path = script(tmp_path, SHOW)
    done = python(['-m', 'tailrace', *flags, path, 'arg', NO])
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == f"{said} ['arg', '{NO}']\n"
    done = python([path], TAILRACE_OPTIONS=' '.join(flags))
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == f'{said} []\n'


def test_am23_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    path = script(tmp_path, SHOW)
    done = python(['-m', 'tailrace', YES, path], TAILRACE_OPTIONS=f'{NO} {TIME}=400')
    assert done.stdout == 'True 400 []\n'


@pytest.mark.parametrize('bad', ['x', '0', '-5', '1.5', ''])
def test_co02_a_bad_value_is_a_warning(tmp_path: Path, bad: str) -> None:
    text = (
        'import warnings\n'
        'with warnings.catch_warnings(record=True) as caught:\n'
        '    from tailrace._net.defaults import parse_flags\n'
        '    warnings.simplefilter("always")\n'
        f'    parse_flags(["{TIME}={bad}"])\n'
        'print([w.category.__name__ for w in caught],'
        ' net.get_default_auto_select_family_attempt_timeout())\n'
    )
    done = python([script(tmp_path, text)])
    assert done.stdout == "['RuntimeWarning'] 250\n", done.stderr


@pytest.mark.parametrize(
    ('arguments', 'status'),
    [([], 2), (['-h'], 0), (['--help'], 0), (['--nonsense', 'x.py'], 2), ([NO], 2)],
)
def test_m_says_how_it_is_used(arguments: list[str], status: int) -> None:
    done = python(['-m', 'tailrace', *arguments])
    assert done.returncode == status
    assert (done.stdout + done.stderr).startswith('usage: python -m tailrace')


def test_m_version_and_a_script_that_is_not_there(tmp_path: Path) -> None:
    done = python(['-m', 'tailrace', '--version'])
    assert (done.returncode, done.stdout.split()[0]) == (0, 'tailrace')
    done = python(['-m', 'tailrace', tmp_path / 'no.py'])
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)


def test_ex02_client_of_the_echo_server_ends_by_itself(tmp_path: Path) -> None:
    text = (
        'def main():\n'
        '    server = net.create_server(lambda c: (c.write("hello\\r\\n"), c.pipe(c)))\n'
        '    server.listen(0, lambda: talk(server))\n'
        'def talk(server):\n'
        '    def on_data(data):\n'
        '        got.append(data)\n'
        '        if b"".join(got).endswith(b"world!\\r\\n"):\n            client.end()\n'
        '    got = []\n'
        '    client = net.create_connection({"port": server.address().port},\n'
        '        lambda: client.write("world!\\r\\n"))\n'
        '    client.on("data", on_data)\n'
        '    client.on("end", lambda: (print(b"".join(got)), server.close()))\n'
    )
    assert both(tmp_path, text) == [(0, "b'hello\\r\\nworld!\\r\\n'\n", '')] * 2


def test_gen12_gen09_connection_refused_comes_out_of_run(tmp_path: Path) -> None:
    text = (
        'import socket\n'
        'with socket.socket() as free:\n'
        '    free.bind(("127.0.0.1", 0))\n    port = free.getsockname()[1]\n'
        'try:\n    tailrace.run(lambda: net.connect(port, "127.0.0.1"))\n'
        'except ConnectionRefusedError as error:\n    print(error.code, error.syscall)\n'
    )
    done = python([script(tmp_path, text)])
    assert (done.returncode, done.stdout, done.stderr) == (0, 'ECONNREFUSED connect\n', '')


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['missing.py'], 'tailrace: cannot open missing.py: No such file or directory'),
        (['-m', 'missing_module'], "tailrace: no module named 'missing_module'"),
        (['-m', 'missing.module'], "tailrace: no module named 'missing.module'"),
    ],
)
def test_a_program_that_is_not_there_is_told_in_one_line(words: list[str], told: str) -> None:
    done = python(['-m', 'tailrace', *words])
    assert (done.returncode, done.stdout, done.stderr) == (2, '', told + '\n')


def test_the_version_says_which_build_it_is() -> None:
    done = python(['-m', 'tailrace', '--version'])
    build = f'{len(tailrace.compiled)} modules compiled' if tailrace.compiled else 'pure Python'
    assert done.stdout == f'tailrace {tailrace.__version__} ({build})\n'
