"""What is measured: the rows of the table, how each is played, and what it must reach.

A row measures one peer in one round and returns `value` with its particulars. It does not know the
order of rounds, other peers' figures, or how results are shown.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import launch, stats, workers
from .launch import Failed
from .peers import Peer, Tools, environment, output_of
from .stats import Target

# The first connections pay for tables and arenas; the slope between these counts is one's cost.
IDLE_FROM, IDLE_TO = 1000, 9000
IMPORT_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Setting:
    """How long and where: durations in ms, cores as numbers (None: not pinned)."""

    tools: Tools
    warmup: int = 300
    duration: int = 1500
    server_core: int | None = None
    generator_core: int | None = None
    verify: bool = False


Measure = Callable[[Peer, Setting], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `base` is the peer the ratios are taken to (None where the figure stands alone); `subjects` are
    the tailrace peers its targets speak of.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    peers: tuple[str, ...]
    measure: Measure
    base: str | None = 'c'
    subjects: tuple[str, ...] = ('tailrace', 'tailrace+uvloop')
    targets: tuple[Target, ...] = ()


def traffic(
    peer: Peer,
    setting: Setting,
    mode: str,
    connections: int,
    size: int,
    factor: float = 1.0,
) -> dict[str, Any]:
    """One run of the generator against a fresh server; `factor` stretches both durations."""
    warmup, duration = int(setting.warmup * factor), int(setting.duration * factor)
    with launch.server(
        setting.tools.command(peer), env=environment(peer), core=setting.server_core
    ) as (process, port):
        command = [
            *(setting.tools.loadgen, mode, '--port', str(port), '--watch', str(process.pid)),
            *('--connections', str(connections), '--size', str(size)),
            *('--warmup', str(warmup), '--duration', str(duration)),
            *(['--verify'] if setting.verify else []),
        ]
        result = launch.generate(
            command, core=setting.generator_core, seconds=60 + (warmup + duration) / 1000
        )
    window = result['seconds'] * 1e9
    # By rate, not by messages: a message longer than the window's end counts for its part.
    amount = result['rate'] * result['seconds']
    if amount == 0:
        raise Failed('nothing came back within the measured time')
    result['cpu_us'] = result['server_cpu_ns'] / 1000 / amount
    result['server_busy'] = result['server_cpu_ns'] / window
    result['taken'] = max(
        stats.taken(result['server_cpu_ns'], result['server_wait_ns'], window),
        stats.taken(result['generator_cpu_ns'], result['generator_wait_ns'], window),
    )
    return result


def rate(mode: str, connections: int, size: int) -> Measure:
    def measure(peer: Peer, setting: Setting) -> dict[str, Any]:
        result = traffic(peer, setting, mode, connections, size)
        return {'value': result['rate'], **result}

    return measure


def latency(peer: Peer, setting: Setting) -> dict[str, Any]:
    result = traffic(peer, setting, 'latency', 1, 64)
    return {'value': result['p50_us'], **result}


def latency_on_one_core(peer: Peer, setting: Setting) -> dict[str, Any]:
    """Both on the server's core: no idle core is woken, so the work alone is left."""
    result = traffic(peer, replace(setting, generator_core=setting.server_core), 'latency', 1, 64)
    # Taking turns on a core is what this row is about, not a disturbance.
    return {'value': result['p50_us'], **result, 'taken': 0.0}


def memory(peer: Peer, setting: Setting) -> dict[str, Any]:
    with (
        launch.server(
            setting.tools.command(peer), env=environment(peer), core=setting.server_core
        ) as (process, port),
        launch.holder(
            [setting.tools.loadgen, 'idle', '--port', str(port)], core=setting.generator_core
        ) as connections,
    ):
        connections.open_up_to(IDLE_FROM)
        before = launch.resident_kib(process.pid)
        connections.open_up_to(IDLE_TO)
        after = launch.resident_kib(process.pid)
    value = (after - before) / (IDLE_TO - IDLE_FROM)
    return {'value': value, 'from_kib': before, 'to_kib': after, 'connections': IDLE_TO}


def cost_of_many(peer: Peer, setting: Setting) -> dict[str, Any]:
    """CPU time of one message with 10,000 connections over that with 100, measured back to back."""
    few = traffic(peer, setting, 'echo', 100, 1024)
    many = traffic(peer, setting, 'echo', 10000, 1024, factor=2.0)
    return {
        'value': many['cpu_us'] / few['cpu_us'],
        'by_rate': few['rate'] / many['rate'],
        'few': few,
        'many': many,
        'taken': max(few['taken'], many['taken']),
    }


def import_time(peer: Peer, setting: Setting) -> dict[str, Any]:
    """Milliseconds that the import adds to a bare interpreter: least of several, taken in turn."""
    module = 'tailrace' if peer.is_tailrace else peer.needs[0] if peer.needs else 'asyncio'
    env = environment(peer)
    python = setting.tools.python
    bare: list[float] = []
    full: list[float] = []
    for _ in range(IMPORT_REPEATS + 1):
        bare.append(launch.seconds_of([python, '-c', 'pass'], env=env, core=setting.server_core))
        full.append(
            launch.seconds_of([python, '-c', f'import {module}'], env=env, core=setting.server_core)
        )
    good, loaded = output_of(
        [python, '-c', f'import {module}, sys; print(len(sys.modules), "asyncio" in sys.modules)'],
        env,
    )
    # The first import of all writes bytecode.
    return {
        'value': (min(full[1:]) - min(bare[1:])) * 1000,
        'bare_ms': min(bare[1:]) * 1000,
        'module': module,
        'modules': int(loaded.split()[0]) if good else None,
        'loads_asyncio': loaded.endswith('True'),
    }


def cluster(peer: Peer, setting: Setting) -> dict[str, Any]:
    """Echoes that cost a worker about 100 us each: with two workers over with one.

    The generator is nothing beside such work, so it may share a core with a worker; `cluster.py`
    measures the rest.
    """
    plan = workers.Plan(
        setting.tools.python,
        setting.tools.loadgen,
        environment(peer),
        setting.duration,
        '--uvloop' in peer.arguments,
    )
    one, two = (workers.play(plan, 'rr', number, workers.WORK)['echo']['rate'] for number in (1, 2))
    return {'value': two / one, 'one': one, 'two': two}


TAILRACE = ('tailrace', 'tailrace+uvloop')
FORMS = ('tailrace-pipe', 'tailrace-pipe+uvloop', 'tailrace-async', 'tailrace-async+uvloop')
PYTHON = (
    *('uvloop-protocol', 'asyncio-protocol', 'uvloop-streams', 'asyncio-streams'),
    *('twisted', 'trio', 'anyio', 'gevent'),
)
ALL = ('c', 'node', *PYTHON, *TAILRACE)
ECHO_TARGETS = (
    Target('>=', 1.0, 'uvloop-protocol'),
    Target('>=', 1.3, 'node'),
    Target('>=', 0.8, 'c'),
)

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            'echo-100',
            'echo 1 KiB, 100 connections',
            'messages/s',
            True,
            (*ALL, *FORMS),
            rate('echo', 100, 1024),
            targets=ECHO_TARGETS,
        ),
        Row(
            'echo-1000',
            'echo 1 KiB, 1,000 connections',
            'messages/s',
            True,
            ALL,
            rate('echo', 1000, 1024),
            targets=ECHO_TARGETS,
        ),
        Row(
            'latency',
            'echo 64 B, one connection, p50 latency',
            'µs',
            False,
            ALL,
            latency,
            targets=(Target('<=', 1.1, 'uvloop-protocol'),),
        ),
        Row(
            'latency-1core',
            'the same, server and generator on one core',
            'µs',
            False,
            ALL,
            latency_on_one_core,
            targets=(Target('<=', 1.1, 'uvloop-protocol'),),
        ),
        Row(
            'bulk',
            'bulk, 10 connections x 100 KB messages',
            'messages/s',
            True,
            ALL,
            rate('echo', 10, 100_000),
            targets=(Target('>=', 1.2, 'node'), Target('>=', 1.0, 'c')),
        ),
        Row(
            'connect',
            'connect, 16 bytes, close',
            'connections/s',
            True,
            ALL,
            rate('connect', 32, 16),
            targets=(Target('>=', 1.2, 'node'), Target('>=', 0.9, 'uvloop-protocol')),
        ),
        Row(
            'memory',
            'memory of an idle accepted connection',
            'KiB',
            False,
            ALL,
            memory,
            base=None,
            targets=(Target('<=', 1.5, unit='KiB'),),
        ),
        Row(
            'pipe',
            'pipe of a socket to itself, bulk 10 x 100 KB',
            'messages/s',
            True,
            ('c', 'node-pipe', 'tailrace-pipe', 'tailrace-pipe+uvloop'),
            rate('echo', 10, 100_000),
            subjects=('tailrace-pipe', 'tailrace-pipe+uvloop'),
            targets=(Target('>=', 1.2, 'node-pipe'),),
        ),
        Row(
            'async-for',
            'async for echo, 1 KiB, 100 connections',
            'messages/s',
            True,
            (
                *('c', 'uvloop-streams', 'asyncio-streams', 'trio', 'anyio'),
                *('tailrace-async', 'tailrace-async+uvloop'),
            ),
            rate('echo', 100, 1024),
            subjects=('tailrace-async', 'tailrace-async+uvloop'),
            targets=(Target('>=', 2.0, 'uvloop-streams'),),
        ),
        Row(
            'cost-10000',
            'a message at 10,000 connections over 100',
            'x',
            False,
            ('c', 'node', 'uvloop-protocol', 'asyncio-protocol', *TAILRACE),
            cost_of_many,
            base=None,
            targets=(Target('<=', 1.3, unit='x'),),
        ),
        Row(
            'import',
            'import over bare Python',
            'ms',
            False,
            ('asyncio-protocol', 'twisted', 'trio', 'anyio', 'gevent', 'tailrace'),
            import_time,
            base=None,
            subjects=('tailrace',),
            targets=(Target('<=', 60.0, unit='ms'),),
        ),
        Row(
            'cluster',
            'two cluster workers over one',
            'x',
            True,
            TAILRACE,
            cluster,
            base=None,
            targets=(Target('>=', 1.7, unit='x'),),
        ),
    )
}


def choose(wanted: str | None) -> list[Row]:
    """Rows by comma-separated names; all of them for None."""
    if wanted is None:
        return list(ROWS.values())
    names = [name.strip() for name in wanted.split(',') if name.strip()]
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f'no row {", ".join(unknown)}; there are {", ".join(ROWS)}')
    return [row for row in ROWS.values() if row.name in names]
