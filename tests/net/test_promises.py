"""``net.promises``: what is given is ready, and what fails leaves nothing open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tailrace import AbortController, AbortError, AbortSignal, net


def test_listen_and_connect_give_what_is_ready(run: Any) -> None:
    async def main() -> None:
        peers: list[net.Socket] = []
        server = await net.promises.listen(
            {'port': 0, 'host': '127.0.0.1', 'allowHalfOpen': True},
            connection_listener=peers.append,
        )
        assert server.listening
        assert server.allow_half_open
        for place in (
            (server.address().port, '127.0.0.1'),
            ({'port': server.address().port, 'host': '127.0.0.1'},),
        ):
            sock = await net.promises.connect(*place)
            assert sock.ready_state == 'open'
            sock.destroy()
            await sock.wait_closed()
        for peer in peers:
            peer.destroy()
        server.close()
        await server.wait_closed()

    run(main)


def test_what_fails_is_raised_and_closed(run: Any) -> None:
    async def main() -> None:
        server = await net.promises.listen(port=0, host='127.0.0.1')
        port = server.address().port
        with pytest.raises(OSError, match='EADDRINUSE'):
            await net.promises.listen(port=port, host='127.0.0.1')
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await net.promises.connect(port, '127.0.0.1')

    run(main)


@pytest.mark.parametrize(
    ('call', 'code'),
    [
        (lambda: net.promises.connect(-1), 'ERR_SOCKET_BAD_PORT'),
        (lambda: net.promises.connect(1, signal=1), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[call-overload]
        (lambda: net.promises.listen(5), 'ERR_INVALID_ARG_TYPE'),  # type: ignore[arg-type]
        (lambda: net.promises.listen({'port': 70000}), 'ERR_SOCKET_BAD_PORT'),
    ],
)
def test_bad_arguments(run: Any, call: Any, code: str) -> None:
    async def main() -> None:
        with pytest.raises((TypeError, ValueError)) as raised:
            await call()
        assert raised.value.code == code  # type: ignore[attr-defined]

    run(main)


def test_a_signal_that_was_aborted_raises_its_reason(run: Any) -> None:
    async def main() -> None:
        reason = LookupError('why')
        with pytest.raises(LookupError):
            await net.promises.connect(1, '127.0.0.1', signal=AbortSignal.abort(reason))
        with pytest.raises(LookupError):
            await net.promises.listen(port=0, signal=AbortSignal.abort(reason))

    run(main)


@pytest.mark.parametrize('how', ['abort', 'cancel'])
@pytest.mark.parametrize('what', ['connect', 'listen'])
def test_given_up_meanwhile(run: Any, how: str, what: str) -> None:
    def lookup(host: str, options: Any, callback: Any) -> None:
        """Never answers."""

    async def main() -> None:
        controller = AbortController()
        if what == 'connect':
            call: Any = net.promises.connect(1, 'x.test', lookup=lookup, signal=controller.signal)
        else:
            call = net.promises.listen(port=0, host='localhost', signal=controller.signal)
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        if how == 'abort':
            controller.abort('enough')
            with pytest.raises(AbortError) as raised:
                await task
            assert raised.value.code == 'ABORT_ERR'
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main)
