"""Programs that were played on Node's ``tls``, with the events and codes that each side had.

``scenarios/record.mjs`` has recorded ``expected.json`` with Node v24.21.0: every trace was the same
six times. Expected traces are facts about Node; what is decided otherwise stands in ``OTHERWISE``
and on the page of deviations. To record again::

    python -m tests.tls.test_scenarios FOLDER && node tests/tls/scenarios/record.mjs FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace import net, tls

from .authorities import Certificates

HERE = Path(__file__).parent / 'scenarios'
SCENARIOS: dict[str, Any] = json.loads((HERE / 'scenarios.json').read_text('utf-8'))
EXPECTED: dict[str, Any] = json.loads((HERE / 'expected.json').read_text('utf-8'))
KINDS = ('server', 'client', 'other_host', 'self_signed', 'expired')

#: What we do otherwise on purpose: (scenario, side) and the whole trace.
OTHERWISE: dict[tuple[str, str], list[str]] = {
    # The refusal is an alert, and the server is told which.
    ('expired', 'server'): ['tlsClientError ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'],
    ('a check that refuses an expired one', 'server'): [
        'tlsClientError ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'
    ],
    ('self-signed', 'server'): ['tlsClientError ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'],
    # So is that of a name.
    ('a name refused by callback', 'client'): [
        *('connect', 'ready', 'error ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'close true 0'),
    ],
    # An error destroys, and there is no 'end' beside it.
    ('a client without one', 'client'): [
        *('connect', 'ready', 'secureConnect TLSv1.3 true  false localhost'),
        *('error ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'close true 0'),
    ],
    ('a server that ends at once', 'client'): [
        *('connect', 'ready', 'error ECONNRESET', 'close true 0'),
    ],
    # destroy() says goodbye if nothing is lost by it.
    ('the client destroys', 'server'): [
        *('secureConnection TLSv1.3 false  false localhost', 'end', 'close false 0'),
    ],
}


def written(value: Any) -> str:
    """As JavaScript's ``join`` writes it."""
    return '' if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def normal(line: str) -> str:
    """OpenSSL 3.5 has renamed some alerts."""
    return line.replace('ERR_SSL_SSL/TLS_ALERT_', 'ERR_SSL_SSLV3_ALERT_')


def known(sock: Any) -> list[Any]:
    return [
        *(sock.get_protocol(), sock.authorized, sock.authorization_error),
        *(sock.alpn_protocol, sock.servername),
    ]


class Play:
    """One scenario, with both its sides in this process."""

    def __init__(self, certs: Certificates, scenario: dict[str, Any]) -> None:
        self.certs = certs
        self.scenario = scenario
        self.steps: dict[str, Any] = scenario['do']
        self.trace: dict[str, list[str]] = {'client': [], 'server': []}
        self.closing: list[asyncio.Future[None]] = []

    def act(self, sock: Any, name: str) -> None:
        for what, *value in self.steps.get(name, ()):
            if what == 'big':
                sock.write(b'x' * value[0])
            elif what == 'write':
                sock.write(value[0].encode('latin-1'))
            else:
                getattr(sock, what)(*value)

    def say(self, side: str, sock: Any, event: str, *more: Any) -> None:
        self.trace[side].append(' '.join(map(written, (event, *more))).rstrip())
        self.act(sock, f'{side} {event}')

    def watch(self, side: str, sock: Any, plain: bool) -> None:
        size = 0
        done = asyncio.get_running_loop().create_future()
        self.closing.append(done)

        def data(chunk: bytes) -> None:
            nonlocal size
            if not size:
                self.act(sock, f'{side} data')
            size += len(chunk)

        def close(had_error: bool = False) -> None:
            self.say(side, sock, 'close', had_error, None if plain else size)
            done.set_result(None)

        for event in ('connect', 'ready', 'end'):
            sock.on(event, lambda event=event: self.say(side, sock, event))
        sock.on('secureConnect', lambda: self.say(side, sock, 'secureConnect', *known(sock)))
        sock.on('data', data)
        sock.on('error', lambda error: self.say(side, sock, 'error', error.code))
        sock.on('close', close)

    def accepted(self, sock: Any) -> None:
        plain = self.scenario.get('plain') == 'server'
        self.watch('server', sock, plain)
        if plain:
            self.say('server', sock, 'connection')
        else:
            self.say('server', sock, 'secureConnection', *known(sock))

    def server(self) -> Any:
        if self.scenario.get('plain') == 'server':
            return net.create_server(self.accepted)
        options = dict(self.scenario.get('server', {}))
        sni = options.pop('sni', None)
        if sni == 'error':
            options['SNICallback'] = lambda name, done: done(ValueError('no'))
        elif sni:
            other = tls.create_secure_context(self.certs.other_host)
            options['SNICallback'] = lambda name, done: done(None, other)
        if 'alpn' in options:
            chosen = options.pop('alpn')
            options['ALPNCallback'] = lambda offer: chosen
        pair = getattr(self.certs, self.scenario.get('own', 'server'))
        made = tls.create_server({**pair, 'ca': self.certs.ca, **options}, self.accepted)
        made.on(
            'tlsClientError',
            lambda error: self.trace['server'].append(
                f'tlsClientError {getattr(error, "code", "undefined")}'
            ),
        )
        return made

    def client(self, port: int) -> Any:
        where = {'port': port, 'host': '127.0.0.1'}
        if self.scenario.get('plain') == 'client':
            return net.connect(where)
        options = dict(self.scenario.get('client', {}))
        if 'check' in options:
            code = options.pop('check')

            def check(host: str, cert: Any) -> Any:
                if code is None:
                    return None
                error = ValueError()
                error.code = code  # type: ignore[attr-defined]
                return error

            options['checkServerIdentity'] = check
        show = self.scenario.get('show')
        pair = getattr(self.certs, show) if show else {}
        return tls.connect(
            {**where, 'servername': 'localhost', 'ca': self.certs.ca, **pair, **options}
        )

    async def run(self) -> dict[str, list[str]]:
        server = self.server()
        await server.listen(0, '127.0.0.1')
        sock = self.client(server.address().port)
        self.watch('client', sock, False)
        self.act(sock, 'start')
        await self.closing[0]
        assert await server.close_all(deadline=5000) == 0
        for one in self.closing:
            await one
        return self.trace


@pytest.mark.parametrize('name', SCENARIOS)
def test_scenario(run: Any, certs: Certificates, name: str) -> None:
    async def main() -> None:
        told = await Play(certs, SCENARIOS[name]).run()
        for side in ('client', 'server'):
            recorded = [normal(line) for line in EXPECTED[name][side]]
            wanted = OTHERWISE.get((name, side), recorded)
            assert told[side] == wanted, side

    run(main)


def test_what_is_otherwise_differs_from_node() -> None:
    for (name, side), trace in OTHERWISE.items():
        assert [normal(line) for line in EXPECTED[name][side]] != trace, (name, side)


if __name__ == '__main__':
    folder = Path(sys.argv[1])
    made = Certificates()
    (folder / 'ca.pem').write_text(made.ca)
    for kind in KINDS:
        for part in ('cert', 'key'):
            (folder / f'{kind}-{part}.pem').write_text(getattr(made, kind)[part])
