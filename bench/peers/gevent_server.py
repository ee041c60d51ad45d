"""Echo on gevent's StreamServer: a greenlet for each connection."""

import _command_line
from gevent import socket
from gevent.server import StreamServer


def serve(sock: socket.socket, address: object) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


server = StreamServer(('127.0.0.1', _command_line.parse(__doc__).port), serve)
server.start()
_command_line.ready(server.server_port)
server.serve_forever()
