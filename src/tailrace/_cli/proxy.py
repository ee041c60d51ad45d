"""``tailrace proxy``: listens in one place and connects every client to another."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .. import net
from ..proxy_protocol import ProxyHeader
from .console import live_table
from .journal import Journal
from .places import Place
from .service import serve
from .words import Parser, count, dial, dialling, server_of, serving

__all__ = ['command', 'parser']

#: ms
TIMEOUT = 5000


class _Block(argparse.Action):
    """Adds to a BlockList."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        blocked = getattr(namespace, self.dest) or net.BlockList()
        try:
            alone = '' if '/' in values else '/128' if ':' in values else '/32'
            blocked.add_cidrs([values + alone])
        except (TypeError, ValueError) as error:
            parser.error(f'{option}: {error}')
        setattr(namespace, self.dest, blocked)


def parser() -> Parser:
    """The arguments."""
    made = Parser(
        'proxy',
        'LISTEN TARGET',
        'Listens at LISTEN and joins each client to a connection of its own to TARGET. With '
        '--cert clients speak TLS with it; with --tls it speaks TLS with the target. The header '
        'of --proxy-protocol tells the target who the client is. At a terminal the open '
        'connections are shown as a table (with the package "rich"), elsewhere as lines.',
        2,
    )
    serving(made)
    dialling(made, own_certificate=False)
    made.set_defaults(timeout=TIMEOUT)
    add = made.add_argument
    add('--max', type=count, metavar='N', help='connections at a time')
    add('--max-per-address', type=count, metavar='N', help='the same, from one address')
    add('--rate', type=count, metavar='N', help='connections a second; more wait')
    add('--idle', type=count, metavar='MS', help='close a connection without traffic')
    add('--block', action=_Block, metavar='CIDR', help='refuse these clients; may be repeated')
    add(
        '--proxy-from',
        action='append',
        metavar='CIDR',
        help='clients come through these balancers, with a header of the PROXY protocol',
    )
    add('--lines', action='store_true', help='lines at a terminal too')
    add('--json', action='store_true', help='lines that are JSON objects')
    return made


async def command(options: argparse.Namespace) -> int:
    """Runs it; the exit status."""
    listen, target = options.place
    given: dict[str, Any] = {
        'max_connections': options.max,
        'max_connections_per_address': options.max_per_address,
        'max_accept_rate': options.rate,
        'block_list': options.block,
    }
    if options.proxy_from is not None:
        given |= {'proxy_protocol': 'required', 'proxy_from': options.proxy_from}
    server = server_of(options, **given)
    plain = options.json or options.lines
    table = None if plain else live_table('client', 'open for', 'received', 'sent')
    journal = Journal(sys.stdout, options.json, table)

    def join(client: Any) -> None:
        _join(client, target, options, journal)

    server.on('connection' if options.cert is None else 'secureConnection', join)
    return await serve(server, listen, journal)


def _join(client: Any, place: Place, options: argparse.Namespace, journal: Journal) -> None:
    """Connect to the target, and pipe both ways with backpressure and half-close."""
    journal.opened(client)
    header = {}
    if options.proxy_protocol is not None:
        header['proxy_protocol'] = ProxyHeader.of(client, options.proxy_protocol)
    target = dial(place, options, connect_timeout=options.timeout, **header)

    def failed(error: BaseException) -> None:
        journal.failed(client, error)
        client.destroy()
        target.destroy()

    for sock, other in ((client, target), (target, client)):
        sock.on('error', failed)
        sock.pipe(other)
        # What the other one still has to send is sent; for what it receives nobody is left.
        sock.on('close', other.destroy_soon)
    if options.idle is not None:
        client.set_timeout(options.idle, lambda: failed(Idle()))


class Idle(Exception):
    """Nothing was sent or received for the time of --idle."""

    code = 'idle'
