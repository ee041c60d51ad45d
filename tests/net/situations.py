"""Networks as data: what each address does, and what the machine says about it, to the ms.

One line of a log is ``time what who``; see ``fake_world.World.script`` for what an address can do.
"""

from __future__ import annotations

#: Name, addresses in order, what each does, blocked, mode → log.
SITUATIONS: list[tuple[str, str, dict[str, str], str, dict[str, str]]] = [
    (
        'the first works',
        'ax',
        {'a': 'ok 30', 'x': 'ok 10'},
        '',
        {
            'sequential': """0 try a
                             30 connected a""",
            'race': """0 try a
                       30 connected a""",
        },
    ),
    (
        'the first is refused, the second works',
        'xa',
        {'x': 'ECONNREFUSED 20', 'a': 'ok 30'},
        '',
        {
            'sequential': """0 try x
                             20 failed x ECONNREFUSED
                             20 try a
                             50 connected a""",
            'race': """0 try x
                       20 failed x ECONNREFUSED
                       20 try a
                       50 connected a""",
        },
    ),
    (
        'both are refused',
        'xa',
        {'x': 'ECONNREFUSED 20', 'a': 'ECONNREFUSED 30'},
        '',
        {
            'sequential': """0 try x
                             20 failed x ECONNREFUSED
                             20 try a
                             50 failed a ECONNREFUSED
                             50 gave up ECONNREFUSED [ECONNREFUSED ECONNREFUSED]""",
            'race': """0 try x
                       20 failed x ECONNREFUSED
                       20 try a
                       50 failed a ECONNREFUSED
                       50 gave up ECONNREFUSED [ECONNREFUSED ECONNREFUSED]""",
        },
    ),
    (
        'a black hole first',
        'xa',
        {'x': 'hole', 'a': 'ok 30'},
        '',
        {
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             280 connected a""",
            'race': """0 try x
                       250 try a
                       280 connected a""",
        },
    ),
    (
        'a slow first address that would have worked',
        'xa',
        {'x': 'ok 300', 'a': 'ok 100'},
        '',
        {
            # Sequential gives the first up for good; in the race it wins 50 ms later.
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             350 connected a""",
            'race': """0 try x
                       250 try a
                       300 connected x""",
        },
    ),
    (
        'a black hole, then refused',
        'ab',
        {'a': 'hole', 'b': 'ECONNREFUSED 10'},
        '',
        {
            'sequential': """0 try a
                             250 timeout a
                             250 try b
                             260 failed b ECONNREFUSED
                             260 gave up ETIMEDOUT [ETIMEDOUT ECONNREFUSED]""",
            'race': """0 try a
                       250 try b
                       260 failed b ECONNREFUSED""",
        },
    ),
    (
        'the last one has all the time of the kernel',
        'ab',
        {'a': 'ECONNREFUSED 10', 'b': 'ETIMEDOUT 127000'},
        '',
        {
            'sequential': """0 try a
                             10 failed a ECONNREFUSED
                             10 try b
                             127010 failed b ETIMEDOUT
                             127010 gave up ECONNREFUSED [ECONNREFUSED ETIMEDOUT]""",
            'race': """0 try a
                       10 failed a ECONNREFUSED
                       10 try b
                       127010 failed b ETIMEDOUT
                       127010 gave up ECONNREFUSED [ECONNREFUSED ETIMEDOUT]""",
        },
    ),
    (
        'unreachable in the call itself',
        'xa',
        {'x': 'ENETUNREACH now', 'a': 'ok 5'},
        '',
        {
            'sequential': """0 try x
                             0 failed x ENETUNREACH
                             0 try a
                             5 connected a""",
            'race': """0 try x
                       0 failed x ENETUNREACH
                       0 try a
                       5 connected a""",
        },
    ),
    (
        'all unreachable in the call itself',
        'xyz',
        {'x': 'ENETUNREACH now', 'y': 'EHOSTUNREACH now', 'z': 'ENETUNREACH now'},
        '',
        {
            'sequential': """0 try x
                             0 failed x ENETUNREACH
                             0 try y
                             0 failed y EHOSTUNREACH
                             0 try z
                             0 failed z ENETUNREACH
                             0 gave up ENETUNREACH [ENETUNREACH EHOSTUNREACH ENETUNREACH]""",
            'race': """0 try x
                       0 failed x ENETUNREACH
                       0 try y
                       0 failed y EHOSTUNREACH
                       0 try z
                       0 failed z ENETUNREACH
                       0 gave up ENETUNREACH [ENETUNREACH EHOSTUNREACH ENETUNREACH]""",
        },
    ),
    (
        'connected in the call itself is told later',
        'xa',
        {'x': 'ok now', 'a': 'ok 5'},
        '',
        {
            'sequential': """0 try x
                             0 connected x""",
            'race': """0 try x
                       0 connected x""",
        },
    ),
    (
        'two black holes, then one that works',
        'xay',
        {'x': 'hole', 'a': 'hole', 'y': 'ok 30'},
        '',
        {
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             500 timeout a
                             500 try y
                             530 connected y""",
            'race': """0 try x
                       250 try a
                       500 try y
                       530 connected y""",
        },
    ),
    (
        'refused, black hole, works',
        'xab',
        {'x': 'ECONNREFUSED 1', 'a': 'hole', 'b': 'ok 2'},
        '',
        {
            'sequential': """0 try x
                             1 failed x ECONNREFUSED
                             1 try a
                             251 timeout a
                             251 try b
                             253 connected b""",
            # A failure starts the next at once, and the delay counts anew from there.
            'race': """0 try x
                       1 failed x ECONNREFUSED
                       1 try a
                       251 try b
                       253 connected b""",
        },
    ),
    (
        'an early one fails while a later one is under way',
        'xay',
        {'x': 'ECONNREFUSED 300', 'a': 'hole', 'y': 'ok 30'},
        '',
        {
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             500 timeout a
                             500 try y
                             530 connected y""",
            'race': """0 try x
                       250 try a
                       300 failed x ECONNREFUSED
                       300 try y
                       330 connected y""",
        },
    ),
    (
        'the failures come in another order than the attempts',
        'xa',
        {'x': 'ETIMEDOUT 900', 'a': 'ECONNREFUSED 10'},
        '',
        {
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             260 failed a ECONNREFUSED
                             260 gave up ETIMEDOUT [ETIMEDOUT ECONNREFUSED]""",
            'race': """0 try x
                       250 try a
                       260 failed a ECONNREFUSED
                       900 failed x ETIMEDOUT
                       900 gave up ETIMEDOUT [ETIMEDOUT ECONNREFUSED]""",
        },
    ),
    (
        'the first is blocked',
        'ab',
        {'b': 'ok 10'},
        'a',
        {
            'sequential': """0 failed a ERR_IP_BLOCKED
                             0 try b
                             10 connected b""",
            'race': """0 failed a ERR_IP_BLOCKED
                       0 try b
                       10 connected b""",
        },
    ),
    (
        'all are blocked',
        'ab',
        {},
        'ab',
        {
            'sequential': """0 failed a ERR_IP_BLOCKED
                             0 failed b ERR_IP_BLOCKED
                             0 gave up ERR_IP_BLOCKED [ERR_IP_BLOCKED ERR_IP_BLOCKED]""",
            'race': """0 failed a ERR_IP_BLOCKED
                       0 failed b ERR_IP_BLOCKED
                       0 gave up ERR_IP_BLOCKED [ERR_IP_BLOCKED ERR_IP_BLOCKED]""",
        },
    ),
    (
        'the last is blocked after a black hole',
        'ab',
        {'a': 'hole'},
        'b',
        {
            'sequential': """0 try a
                             250 timeout a
                             250 failed b ERR_IP_BLOCKED
                             250 gave up ETIMEDOUT [ETIMEDOUT ERR_IP_BLOCKED]""",
            'race': """0 try a
                       250 failed b ERR_IP_BLOCKED""",
        },
    ),
    (
        'the local port is taken: bind failures are listed, not reported',
        'ab',
        {'bind': 'EADDRINUSE'},
        '',
        {
            'sequential': '0 gave up EADDRINUSE [EADDRINUSE EADDRINUSE]',
            'race': '0 gave up EADDRINUSE [EADDRINUSE EADDRINUSE]',
        },
    ),
    (
        'a success in the very ms of the timeout, queued before it',
        'xa',
        {'x': 'ok 250', 'a': 'ok 1'},
        '',
        {
            'sequential': """0 try x
                             250 connected x""",
            'race': """0 try x
                       250 connected x""",
        },
    ),
    (
        'two finish together: one wins',
        'xa',
        {'x': 'ok 260', 'a': 'ok 10'},
        '',
        {
            'sequential': """0 try x
                             250 timeout x
                             250 try a
                             260 connected a""",
            'race': """0 try x
                       250 try a
                       260 connected x""",
        },
    ),
    (
        'one address: the plain error',
        'a',
        {'a': 'ECONNREFUSED 20'},
        '',
        {
            'sequential': """0 try a
                             20 failed a ECONNREFUSED
                             20 gave up ECONNREFUSED""",
            'race': """0 try a
                       20 failed a ECONNREFUSED
                       20 gave up ECONNREFUSED""",
        },
    ),
    (
        'one address: no attempt timeout',
        'a',
        {'a': 'ok 5000'},
        '',
        {
            'sequential': """0 try a
                             5000 connected a""",
            'race': """0 try a
                       5000 connected a""",
        },
    ),
    (
        'one address, unreachable in the call itself: not a failed attempt',
        'a',
        {'a': 'ENETUNREACH now'},
        '',
        {
            'sequential': """0 try a
                             0 gave up ENETUNREACH""",
            'race': """0 try a
                       0 gave up ENETUNREACH""",
        },
    ),
    (
        'one address, blocked: announced, not a failed attempt',
        'a',
        {},
        'a',
        {
            'sequential': """0 try a
                             0 gave up ERR_IP_BLOCKED""",
            'race': """0 try a
                       0 gave up ERR_IP_BLOCKED""",
        },
    ),
    (
        'one address, the bind fails: not even announced',
        'a',
        {'bind': 'EADDRINUSE'},
        '',
        {'sequential': '0 gave up EADDRINUSE', 'race': '0 gave up EADDRINUSE'},
    ),
]
