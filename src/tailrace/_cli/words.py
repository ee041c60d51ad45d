"""The arguments and options that commands share, and what they mean to ``connect`` and servers."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import net, tls
from .places import Place, places

__all__ = ['Parser', 'count', 'dial', 'dialling', 'reached', 'server_of', 'serving', 'where']

PLACES = """
A place is HOST PORT, HOST:PORT, [IPV6]:PORT, PORT, or the path of a Unix socket with a / in it.
Times are in milliseconds.
"""

#: An option that means nothing without another one.
_NEEDS = {
    'key': 'cert',
    'client_ca': 'cert',
    'ca': 'tls',
    'insecure': 'tls',
    'servername': 'tls',
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with status 2."""

    def __init__(self, name: str, usage: str, about: str, most: int | None) -> None:
        super().__init__(
            prog=f'tailrace {name}',
            usage=f'tailrace {name} [options] {usage}',
            description=about,
            epilog=PLACES,
            allow_abbrev=False,
        )
        self._most = most
        self.add_argument('place', nargs='+', help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message} (see {self.prog} --help)\n')

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The options; ``place`` is a list of Place with as many as the command takes."""
        options = self.parse_intermixed_args(words)
        try:
            options.place = places(options.place, self._most is None)
        except ValueError as error:
            self.error(str(error))
        if self._most is not None and len(options.place) != self._most:
            wanted = 'one place' if self._most == 1 else f'{self._most} places'
            self.error(f'{wanted}, not {len(options.place)}: ' + ' '.join(map(str, options.place)))
        for name, wanted in _NEEDS.items():
            if getattr(options, name, None) and not getattr(options, wanted, True):
                self.error(f'--{name.replace("_", "-")} needs --{wanted}')
        return options


def count(word: str) -> int:
    """A whole number, 1 or more."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f'a whole number from 1 on, not {word!r}')
    return int(word)


def dialling(parser: Parser, own_certificate: bool = True) -> None:
    """Add the options of connecting."""
    add = parser.add_argument
    one = parser.add_mutually_exclusive_group()
    one.add_argument('-4', dest='family', action='store_const', const=4, help='IPv4 only')
    one.add_argument('-6', dest='family', action='store_const', const=6, help='IPv6 only')
    add('--timeout', type=count, metavar='MS', help='how long connecting may take')
    add(
        '--proxy-protocol',
        type=int,
        choices=(1, 2),
        help='send a header of the PROXY protocol first',
    )
    add('--tls', action='store_true', help='speak TLS')
    add('--ca', metavar='FILE', help='with --tls: the authorities to trust, instead of the system')
    add('--insecure', action='store_true', help='with --tls: accept any certificate')
    add('--servername', metavar='NAME', help='with --tls: the name to ask for and to verify')
    if own_certificate:
        add('--cert', metavar='FILE', help='with --tls: the own certificate')
        add('--key', metavar='FILE', help='with --tls: its key, if it is not in the same file')


async def reached(sock: Any, place: Place, options: argparse.Namespace) -> None:
    """Wait until ``sock`` is connected, and secure if it speaks TLS, no longer than --timeout.

    Raises the error of connecting, or TimeoutError with ``code`` ETIMEDOUT.
    """
    try:
        async with asyncio.timeout(options.timeout and options.timeout / 1000):
            await sock
    except TimeoutError as error:
        if hasattr(error, 'code'):
            raise
        sock.destroy()
        raise Late(f'no connection to {place} within {options.timeout} ms') from None


class Late(TimeoutError):
    """--timeout is over."""

    code = 'ETIMEDOUT'


def dial(place: Place, options: argparse.Namespace, **more: Any) -> Any:
    """A socket that is connecting to ``place``."""
    given: dict[str, Any] = {**place.options(), 'allow_half_open': True}
    if options.family is not None:
        given['family'] = options.family
    if options.proxy_protocol is not None:
        given['proxy_protocol'] = options.proxy_protocol
    given |= more
    if not options.tls:
        return net.connect(**given)
    given['reject_unauthorized'] = not options.insecure
    for name in ('ca', 'servername'):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    return tls.connect({**given, **_own(options)})


def serving(parser: Parser) -> None:
    """Add the options of a server."""
    add = parser.add_argument
    add('--cert', metavar='FILE', help='speak TLS with this certificate')
    add('--key', metavar='FILE', help='its key, if it is not in the same file')
    add('--client-ca', metavar='FILE', help='only clients with a certificate of this authority')


def server_of(options: argparse.Namespace, **more: Any) -> Any:
    """A server, with TLS if there is a certificate."""
    given: dict[str, Any] = {'allow_half_open': True, **more}
    if options.cert is None:
        return net.create_server(**given)
    if options.client_ca is not None:
        given |= {'request_cert': True, 'ca': options.client_ca}
    return tls.create_server({**given, **_own(options, 'cert')})


def _own(options: argparse.Namespace, default: str = '') -> dict[str, Any]:
    cert = getattr(options, 'cert', None)
    return {} if cert is None else {'cert': cert, 'key': options.key or cert}


def where(server: Any) -> str:
    """Where a server listens."""
    address = server.address()
    return address if isinstance(address, str) else str(Place(address.address, address.port))
