"""Every scenario that the real Node.js was recorded with, played on both loops without difference.

The corpus, its player and what is expected are a verbatim copy (``corpus/``, see its README.md);
nothing in it is edited. ``own/`` holds more scenarios in the same language, recorded in the same
way. All scenarios that were selected are played in the background from the
first test on, two at a time; each test picks up its own result.
"""

from __future__ import annotations

import contextlib
import filecmp
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CORPUS = HERE / 'corpus'
PLAY = HERE / 'play.py'
SOURCE = HERE.parent.parent / 'src'
#: Where the corpus lives when the project is checked out beside it.
SHARED = HERE.parent.parent.parent / 'shared' / 'conformance'

OWN = HERE / 'own'


def names(folder: Path) -> list[str]:
    """What is in a folder of scenarios or of what is expected."""
    return sorted(
        path.relative_to(folder).with_suffix('').as_posix() for path in folder.rglob('*.json')
    )


SCENARIOS = names(CORPUS / 'scenarios')
OWN_SCENARIOS = [f'own/{name}' for name in names(OWN / 'scenarios')]
LOOPS = ['asyncio', *(['uvloop'] if importlib.util.find_spec('uvloop') else [])]
#: Scenarios played at once, over all loops.
WORKERS = 2


class Results:
    """The results of one loop's scenarios, read from its player as they come."""

    def __init__(self, player: subprocess.Popen[str]) -> None:
        self.player = player
        self.known: dict[str, tuple[str, list[str]]] = {}

    def of(self, scenario: str) -> tuple[str, list[str]]:
        """Wait for one scenario: its status and how it differed."""
        assert self.player.stdout is not None
        while scenario not in self.known:
            line = self.player.stdout.readline()
            if not line:
                pytest.fail(f'the player ended with status {self.player.wait()}')
            name, status, problems = json.loads(line)
            self.known[name] = status, problems
        return self.known[scenario]


@contextlib.contextmanager
def playing(loop: str, jobs: int, scenarios: list[str], source: Path = SOURCE) -> Iterator[Results]:
    """Start playing scenarios on a loop; the player ends with the block."""
    env = {**os.environ, 'CF_LOOP': loop}
    with subprocess.Popen(
        [sys.executable, PLAY, str(jobs), source, *scenarios],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as player:
        try:
            yield Results(player)
        finally:
            player.terminate()  # it lets the scenarios under way clean up


@pytest.fixture(scope='module')
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, Results]]:
    """Results by loop; what is played is what this run of pytest selected, in its order."""
    wanted: dict[str, list[str]] = {}
    for item in request.session.items:
        call = getattr(item, 'callspec', None)
        if call is not None and {'scenario', 'loop'} <= set(call.params):
            wanted.setdefault(call.params['loop'], []).append(call.params['scenario'])
    jobs = max(1, WORKERS // len(wanted))
    with contextlib.ExitStack() as stack:
        yield {
            loop: stack.enter_context(playing(loop, jobs, scenarios))
            for loop, scenarios in wanted.items()
        }


@pytest.mark.conformance
@pytest.mark.skipif(sys.platform != 'linux', reason='recorded on Linux, and in its ways')
@pytest.mark.parametrize('loop', LOOPS)
@pytest.mark.parametrize('scenario', SCENARIOS + OWN_SCENARIOS)
def test_same_as_node(results: dict[str, Results], scenario: str, loop: str) -> None:
    status, problems = results[loop].of(scenario)
    assert status == 'ok', '\n'.join([status, *problems])


def test_there_are_scenarios() -> None:
    """The corpus grows with its origin; it never shrinks here."""
    assert len(SCENARIOS) >= 302
    assert names(CORPUS / 'expected') == SCENARIOS
    assert OWN_SCENARIOS
    assert [f'own/{name}' for name in names(OWN / 'expected')] == OWN_SCENARIOS


STUB = """
from . import net
_due = []
def set_timeout(function, ms): _due.append(function)
def run(loop_factory=None):
    assert (loop_factory is None) == {standard}
    for function in _due: function()
"""


@pytest.mark.parametrize('loop', LOOPS)
def test_a_difference_is_seen(tmp_path: Path, loop: str) -> None:
    """Proof that a library which answers wrongly fails, on the loop that was asked for."""
    (tmp_path / 'tailrace').mkdir()
    (tmp_path / 'tailrace' / '__init__.py').write_text(STUB.format(standard=loop == 'asyncio'))
    (tmp_path / 'tailrace' / 'net.py').write_text('isIP = isIPv4 = isIPv6 = lambda text: 0')
    scenario = next(name for name in SCENARIOS if name.startswith('address/isip-ipv6'))
    with playing(loop, 1, [scenario], tmp_path) as results:
        status, problems = results.of(scenario)
    assert status == 'mismatch'
    assert problems[0].startswith('lane net, entry ')


FLICKERING = """
import pathlib
_plays = pathlib.Path(__file__).with_name('plays')
_plays.write_text((_plays.read_text() if _plays.exists() else '') + '.')
if len(_plays.read_text()) > {wrong}:
    _real = pathlib.Path({source!r}) / 'tailrace'
    __path__[:] = [str(_real)]
    exec((_real / '__init__.py').read_text())
else:
    from . import net
    def set_timeout(function, ms): function()
    def run(loop_factory=None): pass
"""


@pytest.mark.interpreted  # the package that it makes has sources only
@pytest.mark.parametrize(('wrong', 'plays'), [(0, 1), (1, 2), (2, 3), (3, 3), (1000, 3)])
def test_playing_again_hides_no_lasting_difference(tmp_path: Path, wrong: int, plays: int) -> None:
    """A library that is right only after some plays; what differs each time is told."""
    package = tmp_path / 'tailrace'
    package.mkdir()
    (package / '__init__.py').write_text(FLICKERING.format(wrong=wrong, source=str(SOURCE)))
    (package / 'net.py').write_text('isIP = isIPv4 = isIPv6 = lambda text: 0')
    scenario = next(name for name in SCENARIOS if name.startswith('address/isip-ipv6'))
    with playing('asyncio', 1, [scenario], tmp_path) as results:
        status, problems = results.of(scenario)
    assert (package / 'plays').read_text() == '.' * plays
    assert status == ('mismatch' if wrong >= plays else 'ok')
    assert bool(problems) == (wrong >= plays)


def test_a_player_that_dies_is_seen(tmp_path: Path) -> None:
    ended = pytest.raises(pytest.fail.Exception, match='ended with status 1')
    with playing('asyncio', 1, ['no/such-scenario'], tmp_path) as results, ended:
        results.of('no/such-scenario')


def differences(copy: Path, origin: Path) -> list[str]:
    """What is not the same, byte for byte, in two folders."""

    def walk(pair: filecmp.dircmp[str], below: str) -> Iterator[str]:
        yield from (f'{below}{name}: only in one' for name in pair.left_only + pair.right_only)
        _, *different = filecmp.cmpfiles(pair.left, pair.right, pair.common_files, shallow=False)
        yield from (f'{below}{name}: different' for names in different for name in names)
        yield from (f'{below}{name}: two kinds' for name in pair.common_funny)
        for name, inner in pair.subdirs.items():
            yield from walk(inner, f'{below}{name}/')

    return sorted(walk(filecmp.dircmp(copy, origin, ignore=['__pycache__']), ''))


@pytest.mark.skipif(
    not SHARED.is_dir(), reason='the origin of the corpus is not beside the project'
)
def test_corpus_is_a_verbatim_copy() -> None:
    assert differences(CORPUS, SHARED) == []


def test_an_edited_copy_is_seen(tmp_path: Path) -> None:
    copy = tmp_path / 'copy'
    shutil.copytree(CORPUS, copy)
    assert differences(copy, CORPUS) == []
    scenario = SCENARIOS[0] + '.json'
    text = (copy / 'expected' / scenario).read_bytes()
    (copy / 'expected' / scenario).write_bytes(text[:-2] + b' \n')
    (copy / 'scenarios' / scenario).unlink()
    (copy / 'extra').touch()
    assert differences(copy, CORPUS) == [
        f'expected/{scenario}: different',
        'extra: only in one',
        f'scenarios/{scenario}: only in one',
    ]
