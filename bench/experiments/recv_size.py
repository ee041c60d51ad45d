"""What does `recv(n)` cost when 1 KiB is there? (A bytes object of n is made, then shrunk.)

Result (CPython 3.11, glibc 2.36, Linux 6.18, a virtual AMD EPYC), send and recv together, CPU time:

    recv(  4096)   2.7 us
    recv( 65536)   2.6 us
    recv(131072)   2.7 us
    recv(262144)  14.7 us

glibc serves a request over 128 KiB by mmap when the heap's top has no room for it; shrinking it is
an mremap and freeing it a munmap, three system calls a message (counted with strace -c on an
asyncio Protocol, which asks for 256 KiB). The threshold adapts only when a block of that size is
freed, and a shrunk one never is. So: ask for less than 128 KiB, or keep one buffer to receive into.
"""

import socket
import time

ROUNDS = 50_000


def main() -> None:
    ours, theirs = socket.socketpair()
    message = bytes(1024)
    for size in (4096, 65536, 131072, 262144):
        before = time.process_time()
        for _ in range(ROUNDS):
            theirs.send(message)
            ours.recv(size)
        print(f'recv({size:6}) {(time.process_time() - before) / ROUNDS * 1e6:6.1f} us')
    ours.close()
    theirs.close()


if __name__ == '__main__':
    main()
