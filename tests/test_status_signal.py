"""The status of a process at a signal."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import threading
import weakref
from typing import Any

import pytest

from tailrace import diagnostics, errors, net
from tailrace._net import counting

from .net.serving import server_on, started, stopped

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='no SIGUSR1')


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests of this process have left for the garbage collector is not shown."""
    monkeypatch.setattr(counting, '_servers', weakref.WeakSet())
    monkeypatch.setattr(counting.clients, 'sockets', weakref.WeakSet())


async def written(out: io.StringIO) -> str:
    while not out.getvalue().endswith('\n'):
        await asyncio.sleep(0)
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


def test_a_signal_shows_the_connections(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        before = signal.getsignal(signal.SIGUSR1)
        server, heard = server_on()
        port = await started(server)
        sock = await net.connect(port, '127.0.0.1')
        await heard.until('connection')
        out = io.StringIO()
        with diagnostics.status_on_signal(file=out):
            os.kill(os.getpid(), signal.SIGUSR1)
            lines = (await written(out)).splitlines()
            assert lines[0].startswith(f'process {os.getpid()}, tailrace ')
            assert lines[1].startswith(f'server 127.0.0.1:{port}: 1 open, 1 accepted')
            assert len(lines) == 5
        assert signal.getsignal(signal.SIGUSR1) is before
        with diagnostics.status_on_signal(signal.SIGUSR2, file=out, as_json=True) as again:
            os.kill(os.getpid(), signal.SIGUSR2)
            told = json.loads(await written(out))
            assert len(told['connections']) == 2
            again.close()
            again.close()
        sock.destroy()
        await stopped(server)

    run(main)
    # Without a loop: at once, and to stderr.
    with diagnostics.status_on_signal():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert capsys.readouterr().err.startswith(f'process {os.getpid()}')


def test_it_wakes_a_loop_that_waits(run: Any) -> None:
    async def main() -> None:
        done = asyncio.Event()

        class Out(io.StringIO):
            def flush(self) -> None:
                done.set()

        with diagnostics.status_on_signal(file=Out()):
            # From elsewhere, so that nothing but the signal wakes the loop.
            thread = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
            thread.start()
            await done.wait()
            thread.join()

    run(main)


def test_a_file_that_cannot_be_written_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    out = io.StringIO()
    out.close()
    with diagnostics.status_on_signal(file=out):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert 'the status was not written' in caplog.text


def test_wrong_arguments() -> None:
    for number, code in (
        ('TERM', 'ERR_INVALID_ARG_TYPE'),
        (0, 'ERR_OUT_OF_RANGE'),
        (10**30, 'ERR_OUT_OF_RANGE'),
        (signal.SIGKILL, 'ERR_INVALID_ARG_VALUE'),
    ):
        with pytest.raises(errors.NodeError) as caught:
            diagnostics.status_on_signal(number)  # type: ignore[arg-type]
        assert caught.value.code == code
    with pytest.raises(errors.NodeError):
        diagnostics.status_on_signal(file='path')  # type: ignore[arg-type]
    with pytest.raises(errors.NodeError):
        diagnostics.status_on_signal(as_json=1)  # type: ignore[arg-type]
    refused: list[BaseException] = []

    def elsewhere() -> None:
        try:
            diagnostics.status_on_signal()
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert refused
