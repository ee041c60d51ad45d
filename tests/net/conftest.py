"""Fixtures of the tests of sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from .connected import Pair


@pytest.fixture(params=['tcp', 'unix'])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Makes connected pairs; the test runs once for each kind of connection."""
    return Pair(request.param, tmp_path)


@pytest.fixture
def tcp_pair(tmp_path: Path) -> Pair:
    """Makes connected pairs over TCP."""
    return Pair('tcp', tmp_path)


@pytest.fixture
def unix_pair(tmp_path: Path) -> Pair:
    """Makes connected pairs over a Unix socket."""
    return Pair('unix', tmp_path)
