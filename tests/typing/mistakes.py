"""Mistakes of users. Not run: a type checker has to complain about every marked line, and no other.

``# wrong``: mypy and pyright both do. ``# misfit``: both do where they are asked to report what is
marked as deprecated: pyright's strict mode (``reportDeprecated``; its other modes strike the call
through in an editor), mypy's ``--enable-error-code deprecated``. It cannot be a plain error: the
overload for a program's own events takes any name, and a literal is no exception from that.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tailrace import Duplex, EventEmitter, Server, Socket, events, net, tls


def takes_text(value: str) -> None: ...


def takes_number(value: int) -> None: ...


def takes_two(one: Any, two: Any) -> None: ...


def needs_a_keyword(*, name: str) -> None: ...


def not_callable(sock: Socket, server: Server, emitter: EventEmitter) -> None:
    sock.on('data', 5)  # wrong
    sock.once('mine', 'listener')  # wrong
    server.on('connection', None)  # wrong
    sock.setTimeout(5, 'callback')  # wrong


def listeners_that_do_not_fit(sock: Socket, server: Server, stream: Duplex) -> None:
    sock.on('error', takes_text)  # misfit
    sock.on('close', takes_text)  # misfit
    sock.on('close', takes_two)  # misfit
    sock.once('connect', takes_number)  # misfit
    sock.on('timeout', lambda ms: None)  # misfit
    sock.on('data', needs_a_keyword)  # misfit
    sock.on('connectionAttempt', takes_number)  # misfit
    sock.once('lookup', takes_number)  # misfit
    server.on('connection', takes_number)  # misfit
    server.once('connection', takes_two)  # misfit
    server.on('listening', takes_text)  # misfit
    stream.on('close', takes_number)  # misfit
    stream.once('error', takes_number)  # misfit


def decorators_that_do_not_fit(sock: Socket, server: Server, stream: Duplex) -> None:
    sock.on('error')(takes_text)  # wrong
    sock.once('close')(takes_two)  # wrong
    sock.on('connectionAttempt')(takes_number)  # wrong
    server.on('connection')(takes_number)  # wrong
    server.once('listening')(takes_text)  # wrong
    stream.on('end')(takes_number)  # wrong

    @server.on('connection')  # wrong
    def connected(sock: Socket, address: str) -> None: ...


def arguments_that_do_not_fit(sock: Socket, server: Server, stream: Duplex) -> None:
    sock.emit('close', 'yes')  # misfit
    sock.emit('connect', 1)  # misfit
    server.emit('listening', 1)  # misfit
    server.emit('drop', 'nobody')  # misfit
    stream.emit('end', 1)  # misfit


def forms_that_do_not_exist(sock: Socket, server: Server) -> None:
    net.connect(80, 5)  # wrong
    net.connect(80, 'localhost', 5)  # wrong
    net.connect(80, 'localhost', takes_number)  # wrong
    net.connect('/a/path', '/another', None, None)  # wrong
    net.connect(['localhost', 80])  # wrong
    net.createConnection(b'path')  # wrong
    sock.connect(80, 5)  # wrong
    sock.connect(object())  # wrong
    server.listen(0, 'localhost', 'backlog')  # wrong
    server.listen(0, takes_number)  # wrong
    server.listen([8124])  # wrong
    server.listen(object())  # wrong
    server.listen({'port': 0}, 'localhost')  # wrong
    net.create_server(5)  # wrong
    net.create_server(takes_number)  # wrong
    net.createServer({'allowHalfOpen': True}, takes_two)  # wrong
    Server('options')  # wrong
    Socket('options')  # wrong


def options_that_do_not_exist(sock: Socket, server: Server) -> None:
    net.create_server(allow_halfopen=True)  # wrong
    net.create_server(max_connections='5')  # wrong
    net.create_server(connection_listener=takes_number)  # wrong
    net.connect(prot=80)  # wrong
    net.connect(80, connect_timeout='soon')  # wrong
    net.connect(80, connect_listener=takes_number)  # wrong
    Socket(no_delay='yes')  # wrong
    server.listen(hostname='x')  # wrong
    server.listen(port=0, backlog='many')  # wrong
    net.create_server(proxy_protocol='maybe')  # wrong
    net.create_server(proxy_protocol='required', proxy_from=5)  # wrong
    net.connect(80, proxy_protocol=3)  # wrong


def values_that_do_not_fit(sock: Socket, server: Server) -> None:
    sock.set_timeout('5')  # wrong
    sock.set_timeout(5, takes_number)  # wrong
    sock.setNoDelay('no')  # wrong
    sock.set_keep_alive(True, '1000')  # wrong
    sock.write(5)  # wrong
    sock.write(['bytes'])  # wrong
    sock.write(b'x', 5)  # wrong
    sock.write(b'x', takes_number)  # wrong
    sock.end(5)  # wrong
    sock.end({'a': 1})  # wrong
    sock.block_list = ['127.0.0.1']  # wrong
    server.get_connections(takes_number)  # wrong
    server.close(takes_number)  # wrong
    server.max_connections = 'many'  # wrong


def events_of_tls(sock: tls.TLSSocket, server: tls.Server) -> None:
    sock.on('secureConnect', takes_text)  # misfit
    sock.on('session', takes_text)  # misfit
    sock.on('data', takes_two)  # misfit
    server.on('secureConnection', takes_text)  # misfit
    server.on('tlsClientError', takes_text)  # misfit
    server.on('drop', takes_text)  # misfit


def names_that_do_not_exist(sock: Socket, server: Server) -> None:
    net.creat_server()  # wrong
    net.creatServer()  # wrong
    sock.setTimeOut(5)  # wrong
    print(sock.bytesread)  # wrong
    server.maxconnections = 5  # wrong
    events.EventEmitter().addlistener('x', print)  # wrong


def values_that_cannot_be_set(sock: Socket) -> None:
    sock.bytesRead = 5  # wrong
    sock.remote_port = 5  # wrong


def what_is_given_back(sock: Socket, server: Server, listener: Callable[[], object]) -> None:
    takes_text(sock.bytesRead)  # wrong
    takes_text(sock.on('data', listener))  # wrong
    takes_text(net.isIP('::1'))  # wrong
    takes_text(server.listen(0).listening)  # wrong
    takes_text(server.listen(socket.socket()).close())  # wrong
