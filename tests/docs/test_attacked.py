"""No client takes a server of the pages down: all of them are attacked, and keep serving.

Those that serve until Ctrl-C are attacked from outside, and a well-behaved client is served
meanwhile and afterwards; those that end by themselves are attacked by a thread, and end as without.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..campaign.kit import hears_interrupts
from .attack import ATTACKS, attack, is_served
from .blocks import Block
from .drivers import PORT
from .test_blocks import BLOCKS, PATIENCE, environment, own_address, prepare

SERVING = [one for one in BLOCKS if 'drive' in one.directive and one.language == 'python']
ENDING = [
    one
    for one in BLOCKS
    if one.language == 'python'
    and 'drive' not in one.directive
    and 'skip' not in one.directive
    and 'with' not in one.directive
    and 'create_server(' in one.text
]
HERE = Path(__file__).resolve().parent


def until_it_listens(process: subprocess.Popen[bytes], where: tuple[str, int]) -> None:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(where, 10).close()
            return
        time.sleep(0.01)
    pytest.fail('it does not listen')


def serve_under_attack(block: Block, loop_kind: str, folder: Path) -> None:
    command = prepare(block, folder)
    where = own_address(), PORT
    text = (folder / command[1]).read_text()
    # A page's program that listens on all addresses, too.
    if own_address() not in text:
        where = '127.0.0.1', PORT
    with (folder / 'out').open('wb') as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment(folder, loop_kind), 'PYTHONWARNINGS': 'default'},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=hears_interrupts,
        )
        try:
            until_it_listens(process, where)
            # A server with a limit may turn the client away, as long as the attackers are there.
            served: list[bool] = []
            attack(where, lambda: served.append(is_served(where)))
            assert served == [True] or 'max_connections' in text
            end = time.monotonic() + PATIENCE
            while not is_served(where):
                assert time.monotonic() < end
            assert process.poll() is None
        except BaseException:
            print((folder / 'out').read_text('utf-8', 'replace')[-3000:])
            raise
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait()


@pytest.mark.parametrize('block', SERVING, ids=[block.name for block in SERVING])
def test_a_server_of_the_pages_keeps_serving(block: Block, loop_kind: str, tmp_path: Path) -> None:
    serve_under_attack(block, loop_kind, tmp_path)


@pytest.mark.parametrize('block', ENDING, ids=[block.name for block in ENDING])
def test_a_program_of_the_pages_ends_as_without_the_attack(
    block: Block, loop_kind: str, tmp_path: Path
) -> None:
    command = prepare(block, tmp_path)
    done = subprocess.run(
        [sys.executable, HERE / 'attack.py', command[1]],
        cwd=tmp_path,
        env={**environment(tmp_path, loop_kind), 'PYTHONWARNINGS': 'default'},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == int(block.directive.get('exits', 0)), done.stderr


FRAGILE = """
import tailrace
from tailrace import net

async def serve(sock):
    await sock.read_exactly(1_000_000_000)

async def main():
    await net.create_server(serve).listen(8124, '127.0.0.1')

tailrace.run(main, on_error='raise')
"""


def test_a_server_that_an_attack_ends_is_seen(loop_kind: str, tmp_path: Path) -> None:
    block = Block('README.md', 0, 'python', FRAGILE, {'file': 'fragile.py'})
    with pytest.raises((AssertionError, OSError)):
        serve_under_attack(block, loop_kind, tmp_path)


def test_there_are_pages_and_attacks() -> None:
    assert len(SERVING) > 5
    assert len(ENDING) > 5
    assert len(ATTACKS) > 5
