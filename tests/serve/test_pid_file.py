"""The pid file: one running program at a time, whatever became of the last one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tailrace import errors
from tailrace._serve.pid_file import PidFile

from .conftest import Start

SERVICE = "tailrace.serve(net.create_server(), 0, on_ready=ready, pid_file='service.pid')\n"


def test_it_names_the_process_while_it_serves(start: Start, tmp_path: Path) -> None:
    path = tmp_path / 'service.pid'
    program = start(SERVICE)
    program.ready()
    assert path.read_text() == f'{program.process.pid}\n'
    program.signal(signal.SIGTERM)
    assert program.end() == (0, [])
    assert os.listdir(tmp_path) == ['program.py']


def test_a_second_program_is_refused_and_harms_nothing(start: Start, tmp_path: Path) -> None:
    first = start(SERVICE)
    first.ready()
    second = start(SERVICE)
    assert second.end()[0] == 1
    told = f'the program already runs as process {first.process.pid} (service.pid)'
    assert second.errors.splitlines()[-1].endswith(told)
    assert (tmp_path / 'service.pid').read_text() == f'{first.process.pid}\n'
    first.signal(signal.SIGTERM)
    assert first.end() == (0, [])


def test_what_a_killed_program_left_is_replaced(start: Start, tmp_path: Path) -> None:
    first = start(SERVICE)
    first.ready()
    first.signal(signal.SIGKILL)
    first.end()
    assert (tmp_path / 'service.pid').exists()
    second = start(SERVICE)
    second.ready()
    assert (tmp_path / 'service.pid').read_text() == f'{second.process.pid}\n'
    second.signal(signal.SIGTERM)
    assert second.end() == (0, [])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'x.pid'


def test_one_of_somebody_else_is_believed_if_its_process_lives(path: Path) -> None:
    path.write_text(f'{os.getppid()}\n')
    with pytest.raises(errors.StateError) as caught, PidFile(str(path)):
        pass
    assert caught.value.code == 'ERR_ALREADY_RUNNING'
    assert path.read_text() == f'{os.getppid()}\n'
    with subprocess.Popen([sys.executable, '-c', '']) as process:
        process.wait()
    for text in (f'{process.pid}\n', f'{os.getpid()}\n', '', 'x', '99999999999999999999', '0'):
        path.write_text(text)
        with PidFile(str(path)):
            assert path.read_text() == f'{os.getpid()}\n'
        assert not path.exists()


@pytest.mark.skipif(sys.platform != 'linux', reason='start times are read from /proc')
def test_a_number_that_another_process_has_by_now_is_stale(path: Path) -> None:
    """After a restart of a container the same few numbers are given out again."""
    path.write_text(f'{os.getppid()}\n')
    os.utime(path, (time.time(), 1_000_000_000))
    with PidFile(str(path)):
        assert path.read_text() == f'{os.getpid()}\n'


def test_one_that_was_replaced_meanwhile_is_left_alone(path: Path) -> None:
    with PidFile(str(path)):
        path.unlink()
        path.write_text('x\n')
    assert path.read_text() == 'x\n'
    with PidFile(str(path)):
        path.unlink()
    assert not path.exists()


def test_nothing_is_left_open_or_behind_if_it_cannot_be_written(path: Path) -> None:
    before = os.listdir('/dev/fd')
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught, PidFile(str(path)):
        pass
    assert caught.value.code == 'EISDIR'  # type: ignore[attr-defined]
    assert len(os.listdir('/dev/fd')) == len(before)
    assert os.listdir(path.parent) == ['x.pid']
