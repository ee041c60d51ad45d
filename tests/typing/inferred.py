"""What the parameters of a lambda are taken for. Checked by pyright only: mypy makes them Any."""

from __future__ import annotations

from typing import assert_type

from tailrace import Server, Socket, net


def listeners(sock: Socket, server: Server) -> None:
    sock.on('error', lambda error: assert_type(error, Exception))
    sock.once('close', lambda had_error: assert_type(had_error, bool))
    sock.on('connectionAttempt', lambda ip, port, family: assert_type(port, int))
    server.on('connection', lambda peer: assert_type(peer, Socket))
    net.create_server().once('error', lambda error: assert_type(error, Exception))
    net.create_server(lambda peer: assert_type(peer, Socket))
    net.createServer({}, lambda peer: assert_type(peer, Socket))


def fewer(sock: Socket) -> None:
    sock.on('connectionAttempt', lambda ip: assert_type(ip, str))
    sock.on('connectionAttemptFailed', lambda ip, port: assert_type(port, int))
    sock.on('lookup', lambda error: assert_type(error, Exception | None))
    sock.write('x', lambda error: assert_type(error, Exception | None))
