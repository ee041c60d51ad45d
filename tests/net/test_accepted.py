"""An accepted socket is made in a shorter way than others, and is the same in the end."""

from __future__ import annotations

import socket

import tailrace
from tailrace import net


def state(sock):
    """Every slot that says what a stream is up to."""
    names = ('_life', '_r', '_w', '_r_hwm', '_w_hwm', '_r_len', '_w_len', '_corked', '_pending')
    return {name: getattr(sock, name) for name in names}


def test_sv31_an_accepted_socket_is_as_one_made_with_options(loop_factory):
    states = []

    def main():
        server = net.create_server({'highWaterMark': 1000, 'allowHalfOpen': True})

        def accepted(sock):
            states.append(state(sock))
            sock.destroy()
            server.close()

        server.on('connection', accepted)
        server.listen(0, '127.0.0.1', lambda: net.connect(server.address().port, '127.0.0.1'))

        with socket.create_server(('127.0.0.1', 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours = listening.accept()[0]
        made = net.Socket(fd=ours.detach(), high_water_mark=1000, allow_half_open=True)
        states.append(state(made))
        made.destroy()
        theirs.close()

    tailrace.run(main, loop_factory=loop_factory)
    assert states[0] == states[1]


def test_sv31_the_mark_may_be_changed_to_what_the_option_takes(loop_factory):
    marks = []

    def main():
        server = net.create_server()
        values = [5, 7.0]

        def accepted(sock):
            marks.append(sock.readable_high_water_mark)
            sock.destroy()
            if values:
                again()
            else:
                server.close()

        def again():
            server.high_water_mark = values.pop(0)
            net.connect(server.address().port, '127.0.0.1')

        server.on('connection', accepted)
        server.listen(0, '127.0.0.1', again)

    tailrace.run(main, loop_factory=loop_factory)
    assert marks[0] == 5
    assert marks[1] == 7
