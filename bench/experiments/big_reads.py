"""What reads of 100 KB cost, by size of the request and by what the allocator has seen before.

A socket pair; 100 KB are sent, then read with `recv(n)` until nothing is left, and dropped.
`warmed`: a block of 1 MiB was allocated and freed before. glibc gives a block above its threshold
(128 KiB at first) a mapping of its own, which is unmapped when it is freed, so that each page is
faulted in and cleared anew. The threshold follows the largest such block that is freed (mallopt(3),
M_MMAP_THRESHOLD), but a `recv` that came back short has shrunk its block before that.
`into`: `recv_into` one buffer of 256 KiB, then one copy into a bytes object. `kernel`: the C module
of a compiled build (put its directory into PYTHONPATH), which does that up to 64 KiB.

Run it with `python bench/experiments/big_reads.py`; each row is its own process.
"""

import socket
import subprocess
import sys
import time

ROUNDS = 4000
SIZE = 100_000


def measure(kind: str, size: int, warmed: bool) -> float:
    if warmed:
        bytearray(1 << 20)  # made and freed
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    if kind == 'kernel':
        from tailrace._handles._kernel import Connection

        ours = Connection(ours)
    message = bytes(SIZE)
    shared = bytearray(262144)
    view = memoryview(shared)
    spent = 0.0
    for _ in range(ROUNDS):
        theirs.sendall(message)
        before = time.process_time()
        left = SIZE
        while left:
            if kind == 'into':
                count = ours.recv_into(shared)
                data = bytes(view[:count])
            else:
                data = ours.recv(size)
            left -= len(data)
        del data
        spent += time.process_time() - before
    ours.close()
    theirs.close()
    return spent / ROUNDS * 1e6


def main() -> None:
    if len(sys.argv) > 1:
        kind, size, warmed = sys.argv[1:]
        print(measure(kind, int(size), warmed == 'warmed'))
        return
    for kind, size in (
        ('recv', 65536),
        ('recv', 126976),
        ('recv', 262144),
        ('recv', 524288),
        ('into', 262144),
        ('kernel', 65536),
        ('kernel', 262144),
    ):
        row = []
        for warmed in ('fresh', 'warmed'):
            command = [sys.executable, __file__, kind, str(size), warmed]
            try:
                times = [float(subprocess.check_output(command)) for _ in range(3)]
            except subprocess.CalledProcessError:
                return  # no compiled build
            row.append(min(times))
        print(f'{kind}({size:6}) {row[0]:6.1f} us   warmed {row[1]:6.1f} us')


if __name__ == '__main__':
    main()
