"""Echo on tailrace with `pipe` (with `--uvloop`: on uvloop)."""

import tailrace_echo

tailrace_echo.run(__doc__, lambda sock: sock.pipe(sock))
