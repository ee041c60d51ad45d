"""The C module on its own: each answer beside that of the staircase in Python.

Where the package is not compiled the module is, for these tests, into a temporary folder.
"""

from __future__ import annotations

import importlib.util
import random
from array import array
from pathlib import Path
from socket import AF_INET, inet_ntop
from typing import Any

import pytest

from tailrace._addr.intervals import CoverageV4, covers_v4
from tailrace._addr.ip import number_v4

ROOT = Path(__file__).resolve().parents[2]


def load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def covers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if covers_v4 is not None:
        return covers_v4
    build = load('tailrace_build', ROOT / 'hatch_build.py')
    if build.compiler() is None:
        pytest.skip("there is no C compiler with Python's headers")
    folder = tmp_path_factory.mktemp('search')
    build.copy_into(folder)
    build.compile_kernel(folder)
    made = next(path for path in build.extensions(folder) if path.name.startswith('_search'))
    return load('tailrace._addr._search', made).covers_v4


def text(number: int) -> str:
    return inet_ntop(AF_INET, number.to_bytes(4, 'big'))


def compare(covers: Any, stairs: Any, points: set[int]) -> None:
    for point in points:
        wanted = stairs.covers(point)
        assert covers(text(point), stairs.lists) is wanted, text(point)
        assert covers(point.to_bytes(4, 'big'), stairs.lists) is wanted, text(point)


def test_nothing_covers_nothing(covers: Any) -> None:
    compare(covers, CoverageV4(), {0, 1, 0x7F000001, 0xFFFFFFFF})


def test_it_answers_as_the_staircase_does(covers: Any) -> None:
    rng = random.Random(4)
    stairs = CoverageV4()
    there: list[tuple[int, int]] = []
    points = {0, 0xFFFFFFFF}
    blocks = 0
    # Enough for several blocks, and removals that join them again.
    for turn in range(3000):
        if there and rng.random() < (0.3 if turn < 2000 else 0.8):
            first, last = there.pop(rng.randrange(len(there)))
            stairs.change(first, last, -1)
        else:
            first = rng.randrange(1 << 32)
            last = min(first + (1 << rng.randrange(31)), 0xFFFFFFFF)
            there.append((first, last))
            stairs.change(first, last, 1)
        points |= {first, last, max(0, first - 1), min(last + 1, 0xFFFFFFFF)}
        if turn % 500 == 0:
            compare(covers, stairs, points)
        blocks = max(blocks, len(stairs.lists[0]))
    compare(covers, stairs, points)
    assert blocks > 1
    many = [(number, number) for number in rng.sample(range(1 << 32), 5000)]
    stairs = CoverageV4().with_intervals(many)
    compare(covers, stairs, {number for number, _ in many} | points)


def test_what_is_no_address_is_not_covered(covers: Any) -> None:
    stairs = CoverageV4()
    stairs.change(0, 0xFFFFFFFF, 1)
    for wrong in (
        *('', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', ' 1.2.3.4', '1.2.3.4 ', '::1', 'x'),
        *('1.2.3.4\0', '\0', '1.2.3.\ud800', '\uff11.2.3.4', b'', b'123', b'12345'),
    ):
        assert covers(wrong, stairs.lists) is False, wrong
        if isinstance(wrong, str):
            assert number_v4(wrong) < 0, wrong
    assert covers('1.2.3.4', stairs.lists) is True


def test_it_refuses_what_is_no_staircase(covers: Any) -> None:
    keys, heights = [array('I', [0])], [array('i', [1])]
    for wrong, error in (
        ((), TypeError),
        (('1.2.3.4',), TypeError),
        (('1.2.3.4', [[0], keys, heights, [0]]), TypeError),
        (('1.2.3.4', ([0], keys, heights)), TypeError),
        (('1.2.3.4', ([0], keys, heights, (0,))), TypeError),
        (('1.2.3.4', (['x'], keys, heights, [0])), TypeError),
        (('1.2.3.4', ([0], keys, heights, ['x'])), TypeError),
        (('1.2.3.4', ([0], [0], heights, [0])), TypeError),
        (('1.2.3.4', ([0], keys, [0], [0])), TypeError),
        (('1.2.3.4', ([], [], [], [])), ValueError),
        (('1.2.3.4', ([0xFFFFFFFF], keys, heights, [0])), ValueError),
        (('1.2.3.4', ([-1], keys, heights, [0])), OverflowError),
        (('1.2.3.4', ([0], keys, heights, [])), ValueError),
        (('1.2.3.4', ([0], [array('I')], [array('i')], [0])), ValueError),
        (('1.2.3.4', ([0], keys, [array('i', [1, 2])], [0])), ValueError),
        (('1.2.3.4', ([0], [array('I', [0xFFFFFFFF])], heights, [0])), ValueError),
    ):
        with pytest.raises(error):
            covers(*wrong)
