"""Command lines of the benchmark, the choice of peers and rows, and what counts as a regression."""

import sys
from pathlib import Path

import count
import pytest
import run
from harness import build, launch, peers, rows
from harness.launch import Failed


def test_defaults_are_five_rounds_of_everything():
    options = run.arguments([])
    assert (options.rounds, options.duration, options.warmup) == (5, 1500, 300)
    assert [row.name for row in options.rows] == list(rows.ROWS)
    ours = {f'{name}@compiled' for name, peer in peers.PEERS.items() if peer.is_tailrace}
    assert set(options.peers) == set(peers.PEERS) | ours
    assert set(run.arguments(['--no-compiled']).peers) == set(peers.PEERS)
    assert options.python == sys.executable


def test_quick_is_short_and_gives_way_to_what_is_said():
    assert run.arguments(['--quick']).rounds == 3
    options = run.arguments(['--quick', '--rounds', '7', '--duration', '50'])
    assert (options.rounds, options.duration, options.warmup) == (7, 50, 100)


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        (['--rows', 'echo-100,nothing'], 'no row nothing'),
        (['--peers', 'perl'], "no peer 'perl'"),
        (['--rounds', '0'], '1 or more'),
        (['--rounds', 'five'], '1 or more'),
        (['--build', 'compiled'], 'NAME=DIRECTORY'),
        (['--cores', '0'], 'two core numbers'),
        (['--cores', '0,99999'], 'core 99999 is not among'),
    ],
)
def test_wrong_words_are_refused_with_a_reason(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        run.arguments(words)
    assert complaint in capsys.readouterr().err


def test_a_peers_name_brings_its_variants_and_the_base():
    chosen = run.arguments(['--no-compiled', '--peers', 'tailrace']).peers
    assert list(chosen) == ['c', *(name for name in peers.PEERS if name.startswith('tailrace'))]
    assert list(run.arguments(['--peers', 'node-pipe']).peers) == ['c', 'node-pipe']


def test_another_build_is_measured_beside_the_plain_one(tmp_path: Path):
    options = run.arguments(['--build', f'fast={tmp_path}'])
    field = run.peers_of(rows.ROWS['echo-100'], options.peers)
    names = [peer.name for peer in field]
    assert names.index('tailrace@fast') == names.index('tailrace') + 1
    assert peers.environment(options.peers['tailrace@fast'])['PYTHONPATH'] == str(tmp_path)
    assert peers.environment(options.peers['tailrace'])['PYTHONPATH'] == str(peers.ROOT / 'src')
    assert 'PYTHONPATH' not in peers.environment(options.peers['trio'])


def test_rows_speak_of_peers_that_exist():
    for row in rows.ROWS.values():
        opponents = [target.against for target in row.targets if target.against is not None]
        for name in (*row.peers, *row.subjects, *opponents):
            assert name in peers.PEERS, (row.name, name)
        assert set(opponents) | set(row.subjects) <= set(row.peers), row.name
        assert row.base is None or row.base in row.peers


def test_every_peers_file_is_there():
    for peer in peers.PEERS.values():
        assert peer.kind == 'c' or (peers.FOLDER / peer.file).is_file()


def test_a_peer_that_cannot_run_says_why():
    tools = peers.Tools('server', 'loadgen', sys.executable, None)
    versions: dict[str, str] = {}
    assert 'no node' in str(peers.missing(peers.PEERS['node'], tools, versions))
    absent = peers.Peer('x', 'python', 'x.py', needs=('no_such_module',))
    assert 'no_such_module' in str(peers.missing(absent, tools, versions))
    assert peers.missing(peers.PEERS['asyncio-protocol'], tools, versions) is None


def test_a_peer_that_fails_is_left_out_with_its_reason_and_the_rest_goes_on():
    calls: list[str] = []

    def measure(peer: peers.Peer, setting: rows.Setting) -> dict[str, float]:
        calls.append(peer.name)
        if peer.name == 'node':
            raise Failed('it fell over')
        return {'value': 2.0}

    row = rows.Row('x', 'x', 'x', True, ('c', 'node'), measure)
    field = [peers.PEERS['c'], peers.PEERS['node']]
    skipped: list[dict[str, str]] = []
    tools = peers.Tools('server', 'loadgen', sys.executable, None)
    measured = run.play(row, field, rows.Setting(tools), 3, skipped)
    assert calls == ['c', 'node', 'c', 'c']
    assert skipped == [{'row': 'x', 'peer': 'node', 'reason': 'it fell over'}]
    assert measured['node'] == [None, None, None]
    result = run.row_result(row, measured, field)
    assert result['peers']['node']['median'] is None
    assert result['peers']['c']['ratio'] == 1.0


def test_a_disturbed_measurement_is_repeated_and_the_least_disturbed_kept():
    answers = [(9.0, 0.3), (5.0, 0.1), (7.0, 0.2), (8.0, 0.0), (1.0, 0.0)]
    supply = iter(answers)

    def play_once(peer: peers.Peer, setting: rows.Setting) -> dict[str, float]:
        value, taken = next(supply)
        return {'value': value, 'taken': taken}

    row = rows.Row('x', 'x', 'x', True, ('c',), play_once)
    setting = rows.Setting(peers.Tools('server', 'loadgen', sys.executable, None))
    assert run.measure(row, peers.PEERS['c'], setting, 2) == {'value': 5.0, 'taken': 0.1}
    assert run.measure(row, peers.PEERS['c'], setting, 2) == {'value': 8.0, 'taken': 0.0}
    assert next(supply) == (1.0, 0.0)


def test_a_server_that_does_not_start_gives_its_last_words():
    command = [sys.executable, '-c', 'raise SystemExit("no such luck")']
    with pytest.raises(Failed, match='no such luck'), launch.server(command):
        pass
    with pytest.raises(Failed, match='No such file'), launch.server(['/nonexistent/server']):
        pass


def test_counts_regress_only_beyond_the_tolerance():
    recorded = {'tailrace': {'instructions': 1000.0}, 'c': {'instructions': 60.0}}
    assert count.regressions({'tailrace': {'instructions': 1029.0}}, recorded, 0.03) == []
    grown = count.regressions({'tailrace': {'instructions': 1031.0}}, recorded, 0.03)
    assert len(grown) == 1
    assert grown[0].startswith('tailrace: 1,031')
    assert count.regressions({'new': {'instructions': 9e9}}, recorded, 0.03) == []


def test_one_message_is_the_difference_of_two_runs():
    start, message = 200_000_000, 5_000
    once, twice = start + 1000 * message, start + 2000 * message
    assert count.per_message(once, twice, 1000) == message


def test_total_is_read_from_callgrinds_file(tmp_path: Path):
    file = tmp_path / 'callgrind.out'
    file.write_text('version: 1\nevents: Ir\nfn=(1) main\n1 20\n\ntotals: 12345\n')
    assert count.total(file) == 12345
    file.write_text('version: 1\n')
    with pytest.raises(Failed, match='no total'):
        count.total(file)


def test_count_takes_exact_names(capsys: pytest.CaptureFixture[str]):
    chosen = count.arguments(['--peers', 'c,asyncio-protocol']).peers
    assert [peer.name for peer in chosen] == ['c', 'asyncio-protocol']
    with pytest.raises(SystemExit):
        count.arguments(['--peers', 'asyncio'])
    assert 'no peer asyncio' in capsys.readouterr().err


def test_a_part_of_the_run_leaves_the_recorded_results_alone():
    assert run.arguments([]).json == run.RESULTS / 'latest.json'
    for words in (['--quick'], ['--rows', 'echo-100'], ['--peers', 'node'], ['--against', 'HEAD']):
        assert run.arguments(words).json == build.BUILD / 'latest.json', words
    assert run.arguments(['--quick', '--json', 'x.json']).json == Path('x.json')


def test_against_a_commit_the_two_builds_and_the_base_are_measured(
    capsys: pytest.CaptureFixture[str],
):
    options = run.arguments(['--against', 'HEAD', '--rows', 'echo-100'])
    names = [peer.name for peer in run.peers_of(rows.ROWS['echo-100'], options.peers)]
    assert names[0] == 'c'
    assert {'tailrace@now', 'tailrace@before'} < set(names)
    assert all('@' in name for name in names[1:])
    with pytest.raises(SystemExit):
        run.arguments(['--against', 'HEAD', '--peers', 'node'])
    assert '--against goes with' in capsys.readouterr().err


def test_against_what_is_no_commit_is_refused(tmp_path: Path):
    with pytest.raises(build.BuildError, match='no revision no-such-commit'):
        build.revision('no-such-commit', tmp_path / 'there')


def side(value: float, cpu: float | None) -> dict[str, object]:
    more = {} if cpu is None else {'cpu_us': cpu}
    return {'rounds': [{'value': value, **more}] * 3, **more}


@pytest.mark.parametrize(
    ('higher', 'before', 'now', 'worse'),
    [
        (True, side(100, 10), side(50, 10.4), False),  # the CPU time decides, not the rate
        (True, side(100, 10), side(100, 10.6), True),
        (True, side(100, None), side(94, None), True),
        (True, side(100, None), side(96, None), False),
        (False, side(10, None), side(10.6, None), True),
        (False, side(10, None), side(9, None), False),
    ],
)
def test_a_row_that_got_worse_is_named(
    higher: bool, before: dict[str, object], now: dict[str, object], worse: bool
):
    row = {
        'unit': 'x',
        'higher_is_better': higher,
        'peers': {'c': side(1, 1), 'tailrace@now': now, 'tailrace@before': before},
    }
    lines, found = run.comparison({'a row': row}, 0.05)
    assert [line[:2] for line in lines] == [['a row', 'tailrace']]
    assert bool(found) is worse
    assert not worse or found[0].startswith('a row, tailrace: ')
