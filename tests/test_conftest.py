"""Proof that the guards of conftest.py fire: each offender runs in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

HEAD = """
import asyncio, os, socket, sys, threading, types, warnings
import pytest
"""

#: What an offender does, and what the report must say about it.
OFFENDERS = {
    'descriptor': ('def test(): os.dup(0)', 'left behind: descriptor'),
    'replaced_descriptor': (
        """
        @pytest.fixture(scope='module')
        def pair():
            a, b = os.pipe()
            yield a
            os.close(a)
            os.close(b)
        def test(pair): os.dup2(0, pair)
        """,
        'left behind: descriptor',
    ),
    'socket_in_a_cycle': (
        """
        def test():
            class Cycle: pass
            cycle = Cycle()
            cycle.me, cycle.sock = cycle, socket.socket()
        """,
        'ResourceWarning: unclosed <socket',
    ),
    'thread': (
        """
        stop = threading.Event()
        def test(): threading.Thread(target=stop.wait, daemon=True, name='lingering').start()
        """,
        'left behind: thread lingering',
    ),
    'task': (
        """
        def test(run):
            async def main():
                main.task = asyncio.create_task(asyncio.Event().wait(), name='lingering')
            run(main)
        """,
        "left pending: <Task pending name='lingering'",
    ),
    'task_of_a_loop_from_the_factory': (
        """
        def test(loop_factory):
            loop = loop_factory()
            test.task = loop.create_task(asyncio.Event().wait(), name='lingering')
            test.task._log_destroy_pending = False
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        """,
        "left behind: task <Task pending name='lingering'",
    ),
    'open_loop': (
        """
        def test(loop_factory):
            test.loop = loop_factory()
        """,
        'open loop',
    ),
    'unhandled_in_the_loop': (
        """
        def test(run):
            async def main():
                asyncio.get_running_loop().call_soon(lambda: 1 / 0)
                await asyncio.sleep(0)
            run(main)
        """,
        'unhandled in the loop',
    ),
    'coroutine_that_hangs': (
        'def test(run): run(asyncio.Event().wait, timeout=0.01)',
        'TimeoutError',
    ),
    'warning': ("def test(): warnings.warn('beware')", 'UserWarning: beware'),
    'coroutine_never_awaited': (
        """
        def test():
            async def main(): pass
            main()
        """,
        'was never awaited',
    ),
    'tailrace_resource': (
        """
        def test(monkeypatch):
            module = types.ModuleType('tailrace')
            module.active_resources = lambda: ['a server on port 1']
            sys.modules['tailrace'] = module
        """,
        "left behind: tailrace resource 'a server on port 1'",
    ),
    'tailrace_resource_of_a_loop': (
        """
        def test(run):
            module = types.ModuleType('tailrace')
            module.active_resources = lambda: ['a timer'] if asyncio._get_running_loop() else []
            sys.modules['tailrace'] = module
            async def main(): pass
            run(main)
        """,
        "left pending: tailrace resource 'a timer'",
    ),
}

#: Files that must pass: the guards do not cry wolf.
INNOCENTS = {
    'both_loops': (
        """
        seen = []
        def test(run, loop_kind):
            async def main():
                loop = asyncio.get_running_loop()
                assert loop.get_debug()
                seen.append(type(loop).__module__.split('.')[0])
                assert (seen[-1] == 'uvloop') == (loop_kind == 'uvloop')
            run(main)
        def test_seen():
            assert sorted(set(seen)) == ['asyncio', 'uvloop'][:len(seen)] or seen == ['uvloop']
        """
    ),
    'default_executor': (
        """
        def test(run):
            async def main():
                loop = asyncio.get_running_loop()
                assert await loop.getaddrinfo('127.0.0.1', 1)
            run(main)
        """
    ),
    'failure_taken_note_of': (
        """
        def test(run):
            async def main():
                asyncio.get_running_loop().call_soon(lambda: 1 / 0)
                await asyncio.sleep(0)
            run(main)
            assert type(run.unhandled.pop()['exception']) is ZeroDivisionError
        """
    ),
    'marked_as_leaking': (
        """
        @pytest.mark.leaks
        def test(): os.dup(0)
        """
    ),
}


def run_pytest(folder: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under the project's conftest.py and pytest settings."""
    lines = body.splitlines()
    indent = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    text = '\n'.join(line[indent:] for line in lines)
    (folder / 'test_offender.py').write_text(HEAD + text + '\n')
    (folder / 'conftest.py').write_text((HERE / 'conftest.py').read_text())
    (folder / 'pyproject.toml').write_text((HERE.parent / 'pyproject.toml').read_text())
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', 'test_offender.py', *arguments],
        cwd=folder,
        env={**os.environ, 'PYTEST_ADDOPTS': '', 'COLUMNS': '300'},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize('name', OFFENDERS)
def test_guard_fires(name: str, tmp_path: Path) -> None:
    body, complaint = OFFENDERS[name]
    done = run_pytest(tmp_path, body)
    assert done.returncode == 1, done.stdout + done.stderr
    assert complaint in done.stdout


@pytest.mark.parametrize('name', INNOCENTS)
def test_guard_stays_silent(name: str, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, INNOCENTS[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_fast_leaves_out_the_second_loop_and_most_scenarios(tmp_path: Path) -> None:
    body = """
        def test_loops(loop_kind): pass
        @pytest.mark.conformance
        @pytest.mark.parametrize('n', range(8))
        def test_scenario(n): pass
        """
    assert '10 passed' in run_pytest(tmp_path, body).stdout
    done = run_pytest(tmp_path, body, '--fast')
    assert '3 passed, 7 deselected' in done.stdout, done.stdout
