"""Whole programs: signals, fork, the interpreter's end; cancellation; a bad network."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tailrace import Socket, net

from . import link
from .kit import Failures, Figures, echo, hears_interrupts, serving, settled

#: The file itself: it is a program too.
LINK = Path(link.__file__)

SERVER = """
import asyncio, os, signal, sys
import tailrace
from tailrace import net

async def echo(sock):
    async for chunk in sock:
        sock.write(chunk)

async def main():
    server = await net.create_server(echo).listen(0, '127.0.0.1')
    port = server.address().port
    async def talk():
        while True:
            async with await net.connect(port, '127.0.0.1') as sock:
                sock.write(b'hello')
                await sock.read_exactly(5)
    tasks = [asyncio.ensure_future(talk()) for _ in range(5)]
    print(port, flush=True)
    {body}

tailrace.run(main)
"""
WAIT = 'await asyncio.Event().wait()'


async def program(text: str, *flags: str) -> tuple[asyncio.subprocess.Process, Path]:
    handle, name = tempfile.mkstemp('.py')
    os.write(handle, text.encode())
    os.close(handle)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *flags, name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=hears_interrupts,
    )
    return process, Path(name)


async def ended(process: asyncio.subprocess.Process) -> str:
    """Wait for its end; one that hangs fails the check. What it wrote to stderr."""
    try:
        async with asyncio.timeout(20):
            _, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return err.decode()


async def signals(count: int = 100) -> Figures:
    """SIGINT at a random moment, from the first import to the busy server: it ends by it."""
    chance = random.Random(11)
    quiet = 0
    for _ in range(count):
        process, path = await program(SERVER.format(body=WAIT))
        await asyncio.sleep(chance.random() * 0.6)
        process.send_signal(signal.SIGINT)
        err = await ended(process)
        path.unlink()
        # A traceback comes only of the time before the loop runs: where the start-up was.
        assert process.returncode in (1, 130, -signal.SIGINT), (process.returncode, err)
        assert 'KeyboardInterrupt' in err or process.returncode == -signal.SIGINT, err
        quiet += not err
        assert 'Segmentation' not in err
        assert 'Task exception was never retrieved' not in err
    return {'signals': count, 'hung': 0, 'without a traceback': quiet}


FORK = """
    import gc
    for number in range({count}):
        await asyncio.sleep(0.002)
        pid = os.fork()
        if pid == 0:
            # The child collects what it has inherited, and leaves; the parent's service goes on.
            del server
            gc.collect()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    async with asyncio.timeout(10):
        async with await net.connect(port, '127.0.0.1') as sock:
            sock.write(b'hello')
            assert await sock.read_exactly(5) == b'hello'
    print('served', flush=True)
    os._exit(0)
"""


async def forks(count: int = 200) -> Figures:
    """fork() in the middle of service; the child collects and leaves."""
    process, path = await program(SERVER.format(body=FORK.format(count=count).lstrip()))
    out, err = await process.communicate()
    path.unlink()
    assert process.returncode == 0, err.decode()
    assert out.endswith(b'served\n')
    return {'forks': count, 'service interrupted': 0}


EXITS = (
    'sys.exit(0)',
    'raise SystemExit(0)',
    'asyncio.get_running_loop().call_soon(sys.exit, 0); await asyncio.Event().wait()',
    'signal.raise_signal(signal.SIGTERM)',
    'raise ValueError("of the program")',
    'asyncio.get_running_loop().stop()',
    'server.close(); [one.cancel() for one in tasks]; await asyncio.sleep(0.01)',
)


async def exits(count: int = 70) -> Figures:
    """The interpreter ends with open sockets, in -X dev: no crash, nothing that hangs."""
    statuses: dict[int | None, int] = {}
    for number in range(count):
        flags = ('-X', 'dev', '-W', 'ignore::ResourceWarning')
        body = f'await asyncio.sleep({number % 5 / 100}); {EXITS[number % len(EXITS)]}'
        process, path = await program(SERVER.format(body=body), *flags)
        err = await ended(process)
        path.unlink()
        assert process.returncode in (0, 1, -signal.SIGTERM), (body, process.returncode, err)
        assert 'Fatal Python error' not in err, err
        statuses[process.returncode] = statuses.get(process.returncode, 0) + 1
    return {'exits': count, 'crashed': 0, 'hung': 0}


async def _line(sock: Socket) -> bytes:
    return bytes(await sock.read_line())


async def _exactly(sock: Socket) -> bytes:
    return bytes(await sock.read_exactly(7))


async def _chunk(sock: Socket) -> bytes:
    async for chunk in sock.iterator(destroy_on_return=False):
        return bytes(chunk)
    return b''


async def _until(sock: Socket) -> bytes:
    return bytes(await sock.read_until(b'3'))


Read = Callable[[Socket], Coroutine[Any, Any, bytes]]
READS: tuple[Read, ...] = (_line, _exactly, _chunk, _until)


async def cancellations(count: int = 5000) -> Figures:
    """Every awaitable of a socket, cancelled at a random moment: no byte is lost or doubled."""
    chance = random.Random(5)
    cancelled = done = 0
    async with serving(_numbers) as server:
        port = server.address().port
        sock = await net.connect(port, '127.0.0.1')
        got = bytearray()
        while cancelled < count:
            task = asyncio.ensure_future(chance.choice(READS)(sock))
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got += await task
                done += 1
            except asyncio.CancelledError:
                cancelled += 1
            for act in (sock.drain, sock.wait_closed):
                if not chance.randrange(3):
                    other = asyncio.ensure_future(act())
                    await asyncio.sleep(0)
                    cancelled += other.cancel()
                    await asyncio.wait([other])
            if not chance.randrange(20):
                dial = asyncio.ensure_future(_dial(port))
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
                cancelled += dial.cancel()
                await asyncio.wait([dial])
                if not dial.cancelled():
                    dial.result().destroy()
        sock.destroy()
        await sock.wait_closed()
        await settled(server)
    wanted = b''.join(b'%06d\n' % number for number in range(len(got) // 7 + 1))
    assert wanted.startswith(bytes(got)), 'a byte was lost, or came twice'
    return {'cancelled': cancelled, 'done all the same': done, 'bytes': len(got), 'bytes lost': 0}


async def _dial(port: int) -> Socket:
    return await net.connect(port, '127.0.0.1')


async def _numbers(sock: Socket) -> None:
    sock.resume()
    number = 0
    while True:
        sock.write(b''.join(b'%06d\n' % one for one in range(number, number + 7)))
        number += 7
        await sock.drain()
        await asyncio.sleep(0)


#: Where the server of the bad network is reached, inside; empty outside.
FAR = os.environ.get('TAILRACE_BAD_LINK', '')
#: What a system says that lets nobody make a network of his own.
_FORBIDDEN = (b'not permitted', b'No such file', b'No such device', b'Permission denied')


async def bad_network(count: int = 200) -> Figures:
    """Echo over a link that loses, doubles, delays and reorders, in a network namespace."""
    if FAR:
        return await _over_bad_link(count)
    if sys.platform != 'linux' or not (shutil.which('unshare') and shutil.which('ip')):
        return {'not possible here': 1}
    loop = type(asyncio.get_running_loop()).__module__.partition('.')[0]
    process = await asyncio.create_subprocess_exec(
        *('unshare', '-n', sys.executable, LINK, sys.executable, '-m', 'tests.campaign', '--here'),
        *('--loop', loop if loop == 'uvloop' else 'asyncio', '--count', str(count)),
        'a bad network',
        env={**os.environ, 'TAILRACE_BAD_LINK': link.FAR},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode and any(word in err for word in _FORBIDDEN):
        return {'not possible here': 1}
    assert process.returncode == 0, err.decode()
    figures, counts = map(json.loads, out.splitlines()[-2:])
    assert counts['packets'] > count * 10, counts
    assert counts['lost'], counts
    assert counts['late'], counts
    return {**figures, **counts}


async def _over_bad_link(count: int) -> Figures:
    """Inside: what is sent must come back, however long it takes."""
    with Failures() as failures:
        async with serving(echo, link.OWN) as server:
            port = server.address().port
            limit = asyncio.Semaphore(50)

            async def one(number: int) -> int:
                data = random.Random(number).randbytes(20_000)
                async with limit, asyncio.timeout(120):
                    sock = await net.connect(port, FAR)
                    sock.write(data)
                    assert await sock.read_exactly(len(data)) == data
                    sock.end()
                    await sock.wait_closed()
                return len(data)

            sent = sum(await asyncio.gather(*map(one, range(count))))
            await settled(server)
    assert failures.count == 0
    return {'connections': count, 'bytes there and back': sent, 'bytes lost': 0, 'hung': 0}


CHECKS = {
    'signals': (signals, 3),
    'forks': (forks, 10),
    'exits': (exits, 7),
    'cancellations': (cancellations, 200),
    'a bad network': (bad_network, 5),
}
