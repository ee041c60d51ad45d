"""A small server that speaks the protocol of Redis (RESP 2), for redis-cli and redis-benchmark.

Shows: a parser that takes bytes as they come, several commands in a chunk (pipelining) and a
command in several chunks; one write for all answers of a chunk; backpressure, so that a client
which sends and never reads is not answered without end; limits on what a client may send.

    python examples/redis_server.py [--port PORT]

It knows PING, ECHO, GET, SET (EX, PX), DEL, EXISTS, INCR, DECR, EXPIRE, TTL, DBSIZE, FLUSHALL,
QUIT, and what redis-benchmark and redis-cli ask at first. Try it:

    redis-cli -p PORT set greeting hello ex 10
    redis-benchmark -p PORT -t ping,set,get,incr -P 16

Ctrl-C or SIGTERM ends it; connections have three seconds to end.
"""

import argparse
import asyncio
import signal
import time

import tailrace
from tailrace import net

GRACE = 3_000  # ms
LONGEST = 16 << 20  # bytes of one argument
MOST = 1024  # arguments of one command


class ProtocolError(Exception):
    """The client does not speak the protocol; its connection is closed."""


class CommandError(Exception):
    """What a command answers instead of a result."""


class Parser:
    """Commands out of bytes: arrays of bulk strings, or a line with words (for telnet)."""

    def __init__(self):
        self.data = bytearray()
        #: The arguments of the command that is incomplete, and how many it has in all.
        self.words = []
        self.count = 0

    def feed(self, chunk):
        """All commands that are complete now, each a list of bytes."""
        data = self.data
        data += chunk
        at = 0
        out = []
        while True:
            end = data.find(b'\r\n', at)
            if end < 0:
                if len(data) - at > 65536:
                    raise ProtocolError('too big inline request')
                break
            if self.count:
                size = number(data[at:end], b'$', LONGEST, 'bulk')
                if len(data) < end + size + 4:
                    break
                self.words.append(bytes(data[end + 2 : end + 2 + size]))
                at = end + size + 4
            elif data[at : at + 1] == b'*':
                self.count = number(data[at:end], b'*', MOST, 'multibulk')
                at = end + 2
            else:
                self.words = bytes(data[at:end]).split()
                self.count = len(self.words)
                at = end + 2
            if self.count and len(self.words) == self.count:
                out.append(self.words)
                self.words, self.count = [], 0
        del data[:at]
        return out


def number(line, sign, most, what):
    digits = bytes(line[1:])
    if line[:1] != sign or not digits.isdigit() or int(digits) > most:
        raise ProtocolError(f'invalid {what} length')
    return int(digits)


# -- answers --------------------------------------------------------------------------------------

OK = b'+OK\r\n'
NIL = b'$-1\r\n'


def bulk(value):
    return NIL if value is None else b'$%d\r\n%b\r\n' % (len(value), value)


def integer(value):
    return b':%d\r\n' % value


def array(values):
    return b'*%d\r\n%b' % (len(values), b''.join(map(bulk, values)))


class Store:
    """The data, and a method for each command, called with its arguments."""

    def __init__(self):
        self.values = {}
        #: When a key ends, in seconds of the monotonic clock.
        self.ends = {}

    def run(self, words):
        """The answer to one command."""
        command = getattr(self, f'do_{words[0].decode("latin-1").lower()}', None)
        if command is None:
            return b"-ERR unknown command '%b'\r\n" % words[0][:128].translate(None, b'\r\n')
        try:
            return command(*words[1:])
        except TypeError:
            return b"-ERR wrong number of arguments for '%b' command\r\n" % words[0].lower()
        except CommandError as error:
            return b'-ERR %b\r\n' % str(error).encode()

    def alive(self, key):
        """Its value, or None if it has none or has expired: looked at when it is asked for."""
        end = self.ends.get(key)
        if end is not None and end <= time.monotonic():
            self.remove(key)
        return self.values.get(key)

    def remove(self, key):
        self.ends.pop(key, None)
        return self.values.pop(key, None) is not None

    def do_ping(self, text=None, /):
        return b'+PONG\r\n' if text is None else bulk(text)

    def do_echo(self, text, /):
        return bulk(text)

    def do_get(self, key, /):
        return bulk(self.alive(key))

    def do_set(self, key, value, unit=None, amount=None, /):
        seconds = None
        if unit is not None:
            scale = {b'ex': 1, b'px': 1000}.get(unit.lower())
            if scale is None or amount is None:
                raise CommandError('syntax error')
            seconds = whole(amount) / scale
            if seconds <= 0:
                raise CommandError("invalid expire time in 'set' command")
        self.values[key] = value
        self.ends.pop(key, None)
        if seconds is not None:
            self.ends[key] = time.monotonic() + seconds
        return OK

    def do_del(self, key, /, *more):
        return integer(sum(self.alive(k) is not None and self.remove(k) for k in (key, *more)))

    def do_exists(self, key, /, *more):
        return integer(sum(self.alive(k) is not None for k in (key, *more)))

    def do_incr(self, key, /, by=1):
        value = whole(self.alive(key) or b'0') + by
        self.values[key] = b'%d' % value
        return integer(value)

    def do_decr(self, key, /):
        return self.do_incr(key, -1)

    def do_expire(self, key, seconds, /):
        if self.alive(key) is None:
            return integer(0)
        self.ends[key] = time.monotonic() + whole(seconds)
        return integer(1)

    def do_ttl(self, key, /):
        if self.alive(key) is None:
            return integer(-2)
        end = self.ends.get(key)
        return integer(-1 if end is None else round(end - time.monotonic()))

    def do_dbsize(self, /):
        return integer(sum(self.alive(key) is not None for key in list(self.values)))

    def do_flushall(self, /):
        self.values.clear()
        self.ends.clear()
        return OK

    def do_select(self, index, /):
        return OK

    def do_config(self, verb, name=b'', /):
        """redis-benchmark asks for two settings, and does without them."""
        return array([name, b'']) if verb.lower() == b'get' else OK

    def do_command(self, /, *_):
        """redis-cli asks which commands there are, to complete them."""
        return array([])


def whole(text):
    try:
        return int(text)
    except ValueError:
        raise CommandError('value is not an integer or out of range') from None


def serve(sock, store):
    parser = Parser()

    def data(chunk):
        try:
            commands = parser.feed(chunk)
        except ProtocolError as error:
            sock.end(f'-ERR Protocol error: {error}\r\n')
            sock.pause()
            return
        out = []
        for words in commands:
            if words[0].lower() == b'quit':
                sock.end(b''.join([*out, OK]))
                sock.pause()
                return
            out.append(store.run(words))
        if out and not sock.write(b''.join(out)):
            sock.pause()  # the client does not read: take no more commands of it
            sock.once('drain', sock.resume)

    sock.on('data', data)
    sock.on('error', lambda: None)  # a client that is gone is nobody's trouble here


async def main(options):
    store = Store()
    server = net.create_server(lambda sock: serve(sock, store))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.listen(options.port, '127.0.0.1')
    print(f'listening on {server.address().address}:{server.address().port}', flush=True)
    await stop.wait()
    await server.close_all(deadline=GRACE)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='A small Redis server.')
    parser.add_argument('--port', type=int, default=0)
    tailrace.run(main(parser.parse_args()))
