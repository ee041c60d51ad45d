"""Echo on tailrace with 'data' events (with `--uvloop`: on uvloop)."""

import tailrace_echo

tailrace_echo.run(__doc__, lambda sock: sock.on('data', sock.write))
