"""``await`` of a socket that is on its way out: the error is raised there, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace import AbortController, AbortError, errors, net


def test_awaiting_takes_an_error_that_is_still_to_come(run: Any) -> None:
    """Destroyed before the await, 'error' after it: it is not unheard."""

    async def main() -> None:
        server = await net.create_server().listen(0, '127.0.0.1')
        port = server.address().port
        controller = AbortController()
        sock = net.connect(port=port, host='127.0.0.1', signal=controller.signal)
        controller.abort()
        with pytest.raises(AbortError):
            await sock
        sock = net.connect(port, '127.0.0.1')
        sock.destroy(ValueError('enough'))
        with pytest.raises(ValueError, match='enough'):
            await sock
        # And once more, when all of it is over.
        with pytest.raises(ValueError, match='enough'):
            await sock
        sock = net.connect(port, '127.0.0.1')
        sock.destroy()
        for _ in range(2):
            with pytest.raises(errors.StateError) as caught:
                await sock
            assert caught.value.code == 'ERR_SOCKET_CLOSED'
        await server.async_dispose()

    run(main)
    assert run.unhandled == []
