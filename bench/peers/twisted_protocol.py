"""Echo on Twisted's Protocol and its default reactor."""

import _command_line
from twisted.internet import protocol, reactor


class Echo(protocol.Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


options = _command_line.parse(__doc__)
factory = protocol.ServerFactory.forProtocol(Echo)
listening = reactor.listenTCP(options.port, factory, interface='127.0.0.1')
_command_line.ready(listening.getHost().port)
reactor.run()
