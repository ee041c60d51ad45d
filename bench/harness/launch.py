"""Starts servers and the generator, each on its own core, and reads what the kernel says of them.

It knows processes and /proc; it does not know peers, rows or what a figure means.
"""

import contextlib
import functools
import json
import os
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

START_SECONDS = 20.0
STOP_SECONDS = 3.0


class Failed(Exception):
    """A process did not do its part; the message is the reason that goes into the result."""


def cores(wanted: str | None = None) -> tuple[int, int]:
    """The server's core and the generator's: as asked ('0,1'), else the first two we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if wanted is None:
        return allowed[0], allowed[1 % len(allowed)]
    parts = wanted.split(',')
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f'two core numbers such as 0,1 are wanted, not {wanted!r}')
    server, generator = int(parts[0]), int(parts[1])
    for core in (server, generator):
        if core not in allowed:
            raise ValueError(f'core {core} is not among {allowed}')
    return server, generator


def descriptors() -> int:
    """Raises the soft limit of open files to the hard one, for us and our children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def start(command: Sequence[str], core: int | None, **more: Any) -> subprocess.Popen[str]:
    """A process that is on its core before its first instruction."""
    if core is not None:
        more['preexec_fn'] = functools.partial(pin, core)
    try:
        return subprocess.Popen(list(command), text=True, **more)
    except OSError as error:
        raise Failed(f'{command[0]}: {error.strerror}') from error


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_words(text: str) -> str:
    """The last line of a process's complaints, which is where Python and Node say what it was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else 'no message'


def first_line(process: subprocess.Popen[str], seconds: float) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline().strip() if ready else ''


@contextlib.contextmanager
def server(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    core: int | None = None,
    start_seconds: float = START_SECONDS,
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running server and its port, ended on leaving. Raises `Failed` if it does not start."""
    with tempfile.TemporaryFile('w+') as complaints:
        process = start(
            command,
            core,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=None if env is None else {**os.environ, **env},
        )
        try:
            line = first_line(process, start_seconds)
            if not line.isdigit():
                stop(process)
                complaints.seek(0)
                raise Failed(f'did not start: {last_words(complaints.read())}')
            try:
                yield process, int(line)
            except Failed as failure:
                if process.poll() is None:
                    raise
                complaints.seek(0)
                raise Failed(
                    f'{failure}; the server ended with status {process.returncode}: '
                    f'{last_words(complaints.read())}'
                ) from failure
        finally:
            stop(process)
            if process.stdout is not None:
                process.stdout.close()


def generate(command: Sequence[str], *, core: int | None, seconds: float) -> dict[str, Any]:
    """One run of the generator and its result. Raises `Failed` if it complains or hangs."""
    process = start(
        command, core, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f'no result within {seconds:.0f} s') from None
    if process.returncode != 0:
        raise Failed(last_words(complaints))
    result: dict[str, Any] = json.loads(output)
    return result


@contextlib.contextmanager
def holder(command: Sequence[str], *, core: int | None) -> Iterator['Holder']:
    """The generator in its idle mode, which holds connections open until we leave."""
    with tempfile.TemporaryFile('w+') as complaints:
        process = start(
            command, core, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
        )
        try:
            yield Holder(process, complaints)
        finally:
            stop(process)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


class Holder:
    """Opens connections on demand; see `holder`."""

    def __init__(self, process: subprocess.Popen[str], complaints: Any) -> None:
        self._process = process
        self._complaints = complaints

    def open_up_to(self, connections: int, seconds: float = 60.0) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f'{connections}\n')
            self._process.stdin.flush()
        line = first_line(self._process, seconds)
        if not line:
            self._complaints.seek(0)
            raise Failed(f'{connections} connections: {last_words(self._complaints.read())}')


def resident_kib(pid: int) -> int:
    """Anonymous resident memory: what the process itself filled, without files it maps."""
    rollup = Path(f'/proc/{pid}/smaps_rollup')
    try:
        for line in rollup.read_text().splitlines():
            if line.startswith('Anonymous:'):
                return int(line.split()[1])
    except OSError:
        pass
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def seconds_of(command: Sequence[str], *, env: Mapping[str, str], core: int | None) -> float:
    """Wall time from start to end of a short process."""
    before = time.perf_counter()
    process = start(
        command,
        core,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
    )
    _, complaints = process.communicate()
    taken = time.perf_counter() - before
    if process.returncode != 0:
        raise Failed(last_words(complaints))
    return taken
