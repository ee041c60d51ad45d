"""Echo on tailrace with `async for` (with `--uvloop`: on uvloop)."""

from typing import Any

import tailrace_echo


async def serve(sock: Any) -> None:
    async for chunk in sock:
        if not sock.write(chunk):
            await sock.drain()


tailrace_echo.run(__doc__, serve)
