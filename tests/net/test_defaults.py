"""The defaults of autoselection, their setters, and the flags."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tailrace._net import defaults


@pytest.fixture(autouse=True)
def as_at_first() -> Iterator[None]:
    yield
    defaults.set_default_auto_select_family(True)
    defaults.set_default_auto_select_family_attempt_timeout(250)


def both() -> tuple[bool, int]:
    return (
        defaults.get_default_auto_select_family(),
        defaults.get_default_auto_select_family_attempt_timeout(),
    )


def test_mf16_mf18_at_first() -> None:
    assert both() == (True, 250)


@pytest.mark.parametrize('value', ['x', 1, 0, None])
def test_mf17_only_a_bool_and_nothing_changes(value: Any) -> None:
    defaults.set_default_auto_select_family(False)
    with pytest.raises(TypeError) as caught:
        defaults.set_default_auto_select_family(value)
    assert caught.value.code == 'ERR_INVALID_ARG_TYPE'  # type: ignore[attr-defined]
    assert defaults.get_default_auto_select_family() is False


@pytest.mark.parametrize(
    ('value', 'becomes'),
    [
        *[(300, 300), (1, 10), (5, 10), (9, 10), (10, 10), (11, 11), (2**31 - 1, 2**31 - 1)],
        *[(20.0, 20), (timedelta(seconds=1), 1000), (timedelta(milliseconds=3), 10)],
    ],
)
def test_mf19_am22_clamped_at_10(value: Any, becomes: int) -> None:
    defaults.set_default_auto_select_family_attempt_timeout(value)
    assert defaults.get_default_auto_select_family_attempt_timeout() == becomes


@pytest.mark.parametrize(
    ('value', 'code'),
    [(value, 'ERR_OUT_OF_RANGE') for value in (0, -1, 1.5, float('nan'), float('inf'), 2**31)]
    + [(timedelta(0), 'ERR_OUT_OF_RANGE'), (timedelta(microseconds=1500), 'ERR_OUT_OF_RANGE')]
    + [(value, 'ERR_INVALID_ARG_TYPE') for value in ('250', None, True)],
)
def test_mf19_bad_values_change_nothing(value: Any, code: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        defaults.set_default_auto_select_family_attempt_timeout(value)
    assert caught.value.code == code  # type: ignore[union-attr]
    assert defaults.get_default_auto_select_family_attempt_timeout() == 250


TIMEOUT = '--network-family-autoselection-attempt-timeout'


@pytest.mark.parametrize(
    ('argv', 'rest', 'values'),
    [
        ([], [], (True, 250)),
        (['a.py', '--no-network-family-autoselection'], ['a.py', ...], (True, 250)),
        (['--no-network-family-autoselection', 'a.py'], ['a.py'], (False, 250)),
        (['--no-enable-network-family-autoselection'], [], (False, 250)),
        (['--no-network-family-autoselection', '--network-family-autoselection'], [], (True, 250)),
        (
            ['--no-network-family-autoselection', '--enable-network-family-autoselection'],
            [],
            (True, 250),
        ),
        ([TIMEOUT + '=500', 'a.py', 'b'], ['a.py', 'b'], (True, 500)),
        ([TIMEOUT, '500', 'a.py'], ['a.py'], (True, 500)),
        ([TIMEOUT + '=5'], [], (True, 10)),
        (['--network_family_autoselection_attempt_timeout=77'], [], (True, 77)),
        ([TIMEOUT], [TIMEOUT], (True, 250)),
        (['--network-family-autoselection=1'], ['--network-family-autoselection=1'], (True, 250)),
        (['--other', TIMEOUT + '=9'], ['--other', ...], (True, 250)),
    ],
)
def test_co01_to_co03_flags(argv: list[str], rest: list[Any], values: tuple[bool, int]) -> None:
    left = defaults.parse_flags(argv)
    assert left == ([rest[0], *argv[1:]] if ... in rest else rest)
    assert both() == values


@pytest.mark.parametrize('value', ['0', '-3', 'x', '', '1.5', '99999999999'])
def test_co02_a_bad_value_is_a_warning_and_250(value: str) -> None:
    with pytest.warns(RuntimeWarning, match='250 is used'):
        assert defaults.parse_flags([f'{TIMEOUT}={value}', 'a.py']) == ['a.py']
    assert both() == (True, 250)


SHOW = (
    'from tailrace._net import defaults as d;'
    'print(d.get_default_auto_select_family(), d.get_default_auto_select_family_attempt_timeout())'
)


@pytest.mark.parametrize(
    ('options', 'printed', 'warning'),
    [
        (f'--no-network-family-autoselection {TIMEOUT}=77', 'False 77', ''),
        (f'{TIMEOUT}=0', 'True 250', 'RuntimeWarning'),
        ('--what', 'True 250', "'--what' is no option of tailrace"),
        ("'", 'True 250', 'TAILRACE_OPTIONS'),
        ('', 'True 250', ''),
    ],
)
def test_am23_the_environment_is_read_at_import(options: str, printed: str, warning: str) -> None:
    source = os.path.dirname(os.path.dirname(os.path.dirname(defaults.__file__)))
    done = subprocess.run(
        [sys.executable, '-c', SHOW],
        env={**os.environ, 'TAILRACE_OPTIONS': options, 'PYTHONPATH': source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == printed
    assert warning in done.stderr
    assert bool(done.stderr) == bool(warning)
